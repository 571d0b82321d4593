/** The glue of preact and htm: `html` is a template tag that makes elements, without a build step and without eval. */
import htm from './vendor/htm.js';
import { h } from './vendor/preact.js';

export const html = htm.bind(h);
