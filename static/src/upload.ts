/** The upload component: files, folders and zips, dropped or chosen, sent with a progress bar. */
import { chosen, dropped } from './upload/picked';
import type { Picked } from './upload/picked';
import { Sending, SendingFailed } from './upload/sending';
import { amount, decimal, gettext, interpolate, ngettext } from './words';

const megabytes = (bytes: number): string => `${decimal(bytes / 1e6, bytes < 1e7 ? 1 : 0)} MB`;

class UploadForm {
  private readonly bar: HTMLProgressElement;
  private readonly words: HTMLElement;
  private readonly status: HTMLElement;
  private readonly busy: HTMLElement;
  private sending: Sending | null = null;

  constructor(private readonly form: HTMLFormElement) {
    const find = <T extends HTMLElement>(selector: string): T => form.querySelector<T>(selector)!;
    this.bar = find('progress');
    this.words = find('[data-upload-words]');
    this.busy = find('[data-upload-busy]');
    this.status = document.getElementById('upload-status')!;
    const zone = find<HTMLElement>('[data-drop-zone]');
    for (const input of form.querySelectorAll<HTMLInputElement>('input[type=file]')) {
      const sendChosen = (): void => {
        void this.send(chosen(input));
        input.value = '';
      };
      input.addEventListener('change', sendChosen);
      if (input.files?.length) queueMicrotask(sendChosen); // chosen before this script had arrived
    }
    find('[data-upload-cancel]').addEventListener('click', () => this.sending?.cancel());
    // Anywhere on the page counts, so that a file that misses the zone is not opened by the browser.
    document.addEventListener('dragover', (event) => {
      event.preventDefault();
      zone.classList.add('is-over');
    });
    document.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) zone.classList.remove('is-over');
    });
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      zone.classList.remove('is-over');
      if (event.dataTransfer?.types.includes('Files')) void this.sendDropped(event.dataTransfer);
    });
    window.addEventListener('beforeunload', (event) => {
      if (this.sending) event.preventDefault(); // the browser asks whether to leave
    });
  }

  private async sendDropped(transfer: DataTransfer): Promise<void> {
    const picked = await dropped(transfer).catch(() => null);
    if (!picked) this.fail(gettext('Nothing was sent: a file or folder among these cannot be read. Check that it is still there and that you may open it.'));
    else if (picked.length === 0) this.fail(gettext('Nothing was sent: there is no file in what you dropped.'));
    else await this.send(picked);
  }

  private async send(picked: Picked[]): Promise<void> {
    if (picked.length === 0) return;
    if (this.sending) {
      this.fail(gettext('Not taken: other files are still being sent. Wait until they are, then add these again.'));
      return;
    }
    const site = this.form.elements.namedItem('site');
    if (site instanceof HTMLSelectElement && !site.value) {
      this.fail(gettext('Nothing was sent: choose the site first, then the files again.'));
      site.focus();
      return;
    }
    const fields: Record<string, string> = {};
    for (const name of ['patient', 'site']) {
      const field = this.form.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement | null;
      if (field?.value) fields[name] = field.value;
    }
    const files = ngettext('%(count)s file', '%(count)s files', picked.length);
    const what = interpolate(files, { count: amount(picked.length) });
    const csrfToken = this.form.querySelector<HTMLInputElement>('[name=csrfmiddlewaretoken]')!.value;
    const sending = new Sending(picked, this.form.action, csrfToken, {
      progress: (bytes, broken) => this.show(what, Math.min(bytes, sending.totalBytes), sending.totalBytes, broken),
    });
    this.sending = sending;
    this.form.scrollIntoView({ block: 'center' }); // a drop anywhere on the page counts
    this.show(what, 0, sending.totalBytes, false);
    try {
      this.follow(await sending.send(fields));
    } catch (error) {
      if (!(error instanceof SendingFailed)) throw error;
      this.said(sending.cancelledId)?.remove();
      this.fail(error.message);
    } finally {
      this.sending = null;
      this.busy.hidden = true;
    }
  }

  private show(what: string, sent: number, total: number, broken: boolean): void {
    const words = broken
      ? gettext('The connection is broken. %(sent)s of %(size)s have arrived; the rest is sent as soon as it is back.')
      : gettext('Sending %(what)s: %(sent)s of %(size)s');
    this.busy.hidden = false;
    this.words.textContent = interpolate(words, { what, sent: megabytes(sent), size: megabytes(total) });
    this.bar.value = total ? sent / total : 0;
  }

  /** Puts the server's own account of the upload below the form; it keeps itself up to date. */
  private follow(id: string): void {
    const follow = document.createElement('div');
    follow.setAttribute('hx-get', this.form.dataset.statusAddress!.replace('00000000-0000-0000-0000-000000000000', id));
    follow.setAttribute('hx-trigger', 'load');
    follow.setAttribute('hx-swap', 'outerHTML');
    this.said(id)?.remove(); // one that had broken off
    this.put(follow);
    document.dispatchEvent(new CustomEvent('upload-sent', { detail: follow }));
  }

  /** What the page says of an upload so far. */
  private said(id: string | null): HTMLElement | null {
    return document.getElementById(`upload-${id}`);
  }

  private fail(words: string): void {
    const alert = document.createElement('p');
    alert.className = 'notice notice-problem';
    alert.textContent = words;
    this.put(alert);
    alert.scrollIntoView({ block: 'center' });
  }

  /** Above what else is said of uploads, in the place of what failed before. */
  private put(element: HTMLElement): void {
    this.status.querySelector(':scope > p')?.remove();
    this.status.prepend(element);
  }
}

for (const form of document.querySelectorAll<HTMLFormElement>('form[data-upload]')) new UploadForm(form);
