const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const TIME = String.raw`(\d\d):(\d\d):(\d\d)`;
const FIXDATE = new RegExp(String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) ${TIME} GMT$`);
const RFC850 = new RegExp(
  String.raw`^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) ${TIME} GMT$`,
);
const ASCTIME = new RegExp(String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) ${TIME} (\d{4})$`);

/**
 * The instant of an HTTP date in epoch milliseconds, or `undefined` for anything else.
 *
 * Only the three forms of the standard count: `Date.parse` takes `0` for a year, and a cache would serve a response
 * that its origin meant to have expired. `now` decides the century of two-digit years.
 *
 * @see RFC 9110 §5.6.7
 */
export function parseHttpDate(text: string | null, now: number): number | undefined {
  if (text === null) return undefined;
  const fix = FIXDATE.exec(text);
  if (fix !== null) return instant(fix[3]!, fix[2]!, fix[1]!, fix.slice(4));
  const ascii = ASCTIME.exec(text);
  if (ascii !== null) return instant(ascii[6]!, ascii[1]!, ascii[2]!, ascii.slice(3));
  const old = RFC850.exec(text);
  return old === null ? undefined : instant(fullYear(old[3]!, now), old[2]!, old[1]!, old.slice(4));
}

/** A year more than 50 years ahead belongs to the century before. */
function fullYear(twoDigits: string, now: number): string {
  const thisYear = new Date(now).getUTCFullYear();
  const year = Math.floor(thisYear / 100) * 100 + Number(twoDigits);
  return String(year > thisYear + 50 ? year - 100 : year);
}

function instant(year: string, month: string, day: string, time: readonly string[]): number | undefined {
  const index = MONTHS.indexOf(month);
  const [hour, minute, second] = time.map(Number) as [number, number, number];
  const days = Number(day);
  // 60 is a leap second.
  if (index < 0 || days < 1 || hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), index, days);
  if (date.getUTCMonth() !== index || date.getUTCDate() !== days) return undefined;
  return date.setUTCHours(hour, minute, second);
}
