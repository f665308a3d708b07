/** Words and numbers in the page's language, by Django's catalogue, which comes before the scripts; English needs none. */

interface Catalogue {
  gettext(words: string): string;
  ngettext(one: string, many: string, count: number): string;
}

const catalogue = (window as { django?: Catalogue }).django;
const { lang } = document.documentElement;
const locale = lang.startsWith('en') ? 'en-GB' : lang; // whose days come before the months

export function gettext(words: string): string {
  return catalogue?.gettext(words) ?? words;
}

export function ngettext(one: string, many: string, count: number): string {
  return catalogue?.ngettext(one, many, count) ?? (count === 1 ? one : many);
}

/** `words` with `values` in the places of their names: `Slice %(number)s`. */
export function interpolate(words: string, values: Record<string, string | number>): string {
  return words.replace(/%\((\w+)\)s/g, (_, name: string) => String(values[name]));
}

/** The first sentence of an API error: `{detail}`, `{field: [sentence]}`, or such a one for each of a list's entries. */
export function firstSentence(error: unknown): string | null {
  if (typeof error === 'string') return error || null;
  if (typeof error !== 'object' || error === null) return null;
  for (const part of Object.values(error)) {
    const sentence = firstSentence(part);
    if (sentence) return sentence;
  }
  return null;
}

/** `−0.62` with a true minus, as the server writes it; in German `−0,62`. */
export function decimal(value: number, digits: number): string {
  const rounded = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false, signDisplay: 'negative' } as const;
  return value.toLocaleString(locale, rounded).replace('-', '−');
}

/** A ratio or probability of 0 to 1, as the server writes it: `0.62`, and `< 0.01` for a small one that is not 0. */
export function ratio(value: number): string {
  return value > 0 && value < 0.005 ? `< ${decimal(0.01, 2)}` : decimal(value, 2);
}

/** How many: `20,000`, in German `20.000`. */
export function amount(count: number): string {
  return count.toLocaleString(locale);
}

/** The day of a moment in a site's time zone: `12 Mar 2020`, in German `12.03.2020`. */
export function day(moment: string, timeZone: string): string {
  return new Date(moment).toLocaleDateString(locale, { dateStyle: 'medium', timeZone });
}
