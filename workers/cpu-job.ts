/** Task file of the CPU pool: jobs by their names. */
export { eraseArchive, writeArchive } from '../src/store/archive-jobs.ts';
export { search } from '../src/store/search-job.ts';
