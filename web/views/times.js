/** When something was, for people. Pure but for the clock, which says what today is. */

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const farDayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });
const wholeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
/** Days that need no year, milliseconds. */
const nearMs = 180 * 24 * 3_600_000;

export function timeOf(atMs) {
  return timeFormat.format(atMs);
}

/** Day and time, the day only where it is not today. */
export function whenOf(atMs) {
  return isSameDay(atMs, Date.now()) ? timeOf(atMs) : wholeFormat.format(atMs);
}

export function dayOf(atMs) {
  if (isSameDay(atMs, Date.now())) return 'Today';
  return (Date.now() - atMs < nearMs ? dayFormat : farDayFormat).format(atMs);
}

export function isSameDay(oneMs, otherMs) {
  return new Date(oneMs).toDateString() === new Date(otherMs).toDateString();
}
