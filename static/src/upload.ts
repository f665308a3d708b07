/** The upload component: files, folders and zips, dropped or chosen, sent with a progress bar. */

interface Picked {
  file: File;
  name: string;
}

/** Every file below a dropped folder; `readEntries` gives at most 100 at a time. */
async function filesOf(entry: FileSystemEntry): Promise<Picked[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ file, name: entry.fullPath.replace(/^\//, '') }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Picked[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return found;
    for (const child of batch) found.push(...(await filesOf(child)));
  }
}

async function dropped(transfer: DataTransfer): Promise<Picked[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return (await Promise.all(entries.map(filesOf))).flat();
}

const MAX_FILES = 20_000; // webapp/settings.py: DATA_UPLOAD_MAX_NUMBER_FILES; the server hangs up at the next one

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** The first sentence of an API error: `{detail}` or `{field: [sentence]}`. */
function sentence(request: XMLHttpRequest): string {
  if (request.status === 0) return 'The connection broke before everything was sent. Please send the files again.';
  if (request.status === 413) return 'The server refuses an upload of this size. Please send the exam in parts.';
  try {
    const body = JSON.parse(request.responseText) as Record<string, string | string[]>;
    const first = Object.values(body).flat()[0];
    if (first) return first;
  } catch {
    // Not JSON: the general sentence below says what to do.
  }
  return `The server could not take the files (error ${request.status}). Please try again.`;
}

class UploadForm {
  private readonly bar: HTMLProgressElement;
  private readonly words: HTMLElement;
  private readonly status: HTMLElement;
  private readonly busy: HTMLElement;
  private request: XMLHttpRequest | null = null;

  constructor(private readonly form: HTMLFormElement) {
    const find = <T extends HTMLElement>(selector: string): T => form.querySelector<T>(selector)!;
    this.bar = find('progress');
    this.words = find('[data-upload-words]');
    this.busy = find('[data-upload-busy]');
    this.status = document.getElementById('upload-status')!;
    const zone = find<HTMLElement>('[data-drop-zone]');
    for (const input of form.querySelectorAll<HTMLInputElement>('input[type=file]')) {
      const sendChosen = (): void => {
        this.send([...(input.files ?? [])].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
        input.value = '';
      };
      input.addEventListener('change', sendChosen);
      if (input.files?.length) queueMicrotask(sendChosen); // chosen before this script had arrived
    }
    find('[data-upload-cancel]').addEventListener('click', () => this.request?.abort());
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
      if (event.dataTransfer) void dropped(event.dataTransfer).then((picked) => this.send(picked));
    });
    window.addEventListener('beforeunload', (event) => {
      if (this.request) event.preventDefault(); // the browser asks whether to leave
    });
  }

  private send(picked: Picked[]): void {
    if (picked.length === 0) return;
    if (this.request) {
      this.fail('Not taken: other files are still being sent. Wait until they are, then add these again.');
      return;
    }
    if (picked.length > MAX_FILES) {
      this.fail(`Nothing was sent: these are more than ${MAX_FILES.toLocaleString('en')} files. Send one exam at a time.`);
      return;
    }
    const site = this.form.elements.namedItem('site');
    if (site instanceof HTMLSelectElement && !site.value) {
      this.fail('Nothing was sent: choose the site first, then the files again.');
      site.focus();
      return;
    }
    const body = new FormData();
    for (const name of ['patient', 'site']) {
      const field = this.form.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement | null;
      if (field?.value) body.append(name, field.value);
    }
    for (const { file, name } of picked) {
      body.append('files', file, name);
      body.append('paths', name); // of a file's name the server keeps no folders
    }
    const total = picked.reduce((sum, { file }) => sum + file.size, 0);
    const what = picked.length === 1 ? '1 file' : `${picked.length.toLocaleString('en')} files`;

    const request = (this.request = new XMLHttpRequest());
    request.open('POST', this.form.action);
    request.setRequestHeader('X-CSRFToken', this.form.querySelector<HTMLInputElement>('[name=csrfmiddlewaretoken]')!.value);
    request.setRequestHeader('Accept', 'application/json');
    this.show(`Sending ${what}, ${megabytes(total)} …`, 0);
    request.upload.addEventListener('progress', (event) => {
      if (!event.lengthComputable) return;
      const sent = event.loaded / event.total;
      this.show(
        sent < 1
          ? `Sending ${what}: ${megabytes(event.loaded)} of ${megabytes(event.total)}`
          : `${what} sent. The server is taking them in …`,
        sent,
      );
    });
    request.addEventListener('load', () => {
      if (request.status === 202) this.follow((JSON.parse(request.responseText) as { id: string }).id);
      else this.fail(sentence(request));
    });
    request.addEventListener('error', () => this.fail(sentence(request)));
    request.addEventListener('abort', () => this.fail('Cancelled: nothing was stored.'));
    request.addEventListener('loadend', () => {
      this.request = null;
      this.busy.hidden = true;
    });
    request.send(body);
  }

  private show(words: string, fraction: number): void {
    this.busy.hidden = false;
    this.words.textContent = words;
    this.bar.value = fraction;
  }

  /** Puts the server's own account of the upload below the form; it keeps itself up to date. */
  private follow(id: string): void {
    const follow = document.createElement('div');
    follow.setAttribute('hx-get', this.form.dataset.statusAddress!.replace('00000000-0000-0000-0000-000000000000', id));
    follow.setAttribute('hx-trigger', 'load');
    follow.setAttribute('hx-swap', 'outerHTML');
    this.status.replaceChildren(follow);
    document.dispatchEvent(new CustomEvent('upload-sent', { detail: follow }));
  }

  private fail(words: string): void {
    const alert = document.createElement('p');
    alert.className = 'notice notice-problem';
    alert.textContent = words;
    this.status.replaceChildren(alert);
  }
}

for (const form of document.querySelectorAll<HTMLFormElement>('form[data-upload]')) new UploadForm(form);
