/** What becomes of an open page when its user's session ends, and when the user logs in anew in another tab. */

/** The server's answer to htmx where the page's user is not logged in. */
export const ENDED = 401;
const TYPED = '[method=post] :is(input:not([type=checkbox]), textarea), [data-correction] input';
const notice = document.getElementById('logged-out'); // none on the pages for everybody

const tokenNow = (): string | undefined => /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1];
let token = tokenNow();

/** Whether the page holds what would be lost with it: typed, or still being sent, which it says when it is to be left. */
function holdsWork(): boolean {
  const fields = [...document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>(TYPED)];
  const typed = fields.some(({ value, defaultValue }) => value !== defaultValue);
  return typed || !window.dispatchEvent(new Event('beforeunload', { cancelable: true }));
}

/** A log-in changes the token that forms must carry. Only an answer to the page's own user brings it here: what one
 * reader typed is not saved under the name of another. */
function renewToken(): void {
  const renewed = tokenNow();
  if (!renewed || renewed === token) return;
  token = renewed;
  for (const field of document.querySelectorAll<HTMLInputElement>('[name=csrfmiddlewaretoken]')) field.value = renewed;
  const headers = JSON.parse(document.body.getAttribute('hx-headers')!) as Record<string, string>;
  document.body.setAttribute('hx-headers', JSON.stringify({ ...headers, 'X-CSRFToken': renewed }));
}

// Without work the page gives way to the log-in page; where a button could not act, it stays to say so.
document.body.addEventListener('htmx:afterRequest', (event) => {
  const { successful, xhr, requestConfig } = (
    event as CustomEvent<{ successful?: boolean; xhr: XMLHttpRequest; requestConfig: { verb: string } }>
  ).detail;
  if (!notice) return;
  if (successful) {
    notice.hidden = true;
    renewToken();
  }
  if (xhr.status !== ENDED) return;
  if (requestConfig.verb === 'get' && notice.hidden && !holdsWork()) location.reload();
  else notice.hidden = false;
});

// A form would lead to the log-in page, and what it holds would be lost.
document.addEventListener(
  'submit',
  (event) => {
    if (!notice || notice.hidden || (event.target as HTMLFormElement).method !== 'post') return;
    event.preventDefault();
    event.stopImmediatePropagation();
    notice.querySelector('a')!.focus();
  },
  { capture: true },
);
