/**
 * Files on their way to the server, piece by piece (analysis/piecewise.py). A broken connection costs the request that
 * was under way; the server names what is missing, also when the same files are chosen again on a page opened anew.
 */
import { firstSentence, gettext, interpolate } from '../words';
import type { Picked } from './picked';

const REQUEST_BYTES = 4 * 2 ** 20;
const REQUEST_PIECES = 200; // of tiny files: each costs the server some milliseconds
const SHOWN_NAME = 200; // signs; the end of a name says more than its start
const UNSEEN_NAME = '_'; // of a file named by blanks alone
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;
const MARKED_BYTES = 4096; // of a DICOM file: its header, which names the image; of a zip: that of its first file
const COMES_BACK = [0, 408, 429, 502, 503, 504]; // status of a request that may succeed later; 0: no connection
const CANCELLED = gettext('Cancelled: nothing was stored.');

type Piece = [file: number, piece: number];

interface OpenUpload {
  id: string;
  piece_bytes: number;
  missing: Piece[];
}

/** What ended the sending; the message is for the user. */
export class SendingFailed extends Error {}

interface Listener {
  /** `broken`: there is no connection, and the sending goes on when there is. */
  progress(sentBytes: number, broken: boolean): void;
}

export class Sending {
  readonly totalBytes: number;
  private readonly picked: Picked[];
  private request: XMLHttpRequest | null = null;
  private id: string | null = null;
  private cancelled = false;
  private stopWaiting: () => void = () => undefined;

  constructor(
    picked: Picked[],
    private readonly address: string,
    private readonly csrfToken: string,
    private readonly listener: Listener,
  ) {
    // In one order, however they were chosen: the server knows files that it has by their place in the list.
    this.picked = picked
      .map(({ file, name }) => ({ file, name: shownName(name) }))
      .sort(inOrder);
    this.totalBytes = picked.reduce((sum, { file }) => sum + file.size, 0);
  }

  /** Sends all that the server lacks and returns the upload's id. SendingFailed with a sentence for the user. */
  async send(fields: Record<string, string>): Promise<string> {
    try {
      return await this.sendMissing(fields);
    } catch (error) {
      if (!this.cancelled || (await this.forgotten())) throw error;
      return this.id!; // all had come
    }
  }

  /** While the upload is being announced its answer is waited for: it names what the server is to forget. */
  cancel(): void {
    this.cancelled = true;
    if (this.id) this.request?.abort();
    else if (this.request) this.request.timeout = LONGEST_WAIT_MS;
    this.stopWaiting();
  }

  /** Of what the server was asked to forget; null where nothing was cancelled. */
  get cancelledId(): string | null {
    return this.cancelled ? this.id : null;
  }

  private async sendMissing(fields: Record<string, string>): Promise<string> {
    const files = [];
    for (const { file, name } of this.picked) files.push({ name, size: file.size, mark: await this.markOf(file, name) });
    const announced = JSON.stringify({ ...fields, files });
    const upload = await this.untilAnswered<OpenUpload>('announce/', () => announced, 0);
    this.id = upload.id;
    let left = upload.missing.reduce((sum, piece) => sum + this.blob(piece, upload.piece_bytes).size, 0);
    for (const batch of this.batches(upload)) {
      const blobs = batch.map((piece) => this.blob(piece, upload.piece_bytes));
      await this.untilAnswered(`${upload.id}/pieces/`, () => formOf(batch, blobs), this.totalBytes - left);
      left -= blobs.reduce((sum, blob) => sum + blob.size, 0);
    }
    return upload.id;
  }

  /** Has the server forget what it has; false where all had come, so that it is being worked off. */
  private async forgotten(): Promise<boolean> {
    if (!this.id) return true;
    try {
      const answer = await fetch(`${this.address}${this.id}/discard/`, { method: 'POST', headers: this.headers() });
      return answer.status !== 409;
    } catch {
      return true; // without a connection: the server forgets it by itself in a day
    }
  }

  /** FNV-1a of a file's first bytes: two series may have files of the same names and sizes. */
  private async markOf(file: File, name: string): Promise<string> {
    let hash = 0x811c9dc5;
    for (const byte of await this.read(file.slice(0, MARKED_BYTES), name)) hash = Math.imul(hash ^ byte, 0x01000193);
    return `${(hash >>> 0).toString(16)}-${file.lastModified}`;
  }

  private async read(blob: Blob, name: string): Promise<Uint8Array> {
    try {
      return new Uint8Array(await blob.arrayBuffer());
    } catch {
      const unread = gettext('%(name)s cannot be read: it was changed, moved or removed. Choose the files again.');
      throw new SendingFailed(interpolate(unread, { name }));
    }
  }

  private blob([file, piece]: Piece, pieceBytes: number): Blob {
    return this.picked[file]!.file.slice(piece * pieceBytes, (piece + 1) * pieceBytes);
  }

  private *batches({ missing, piece_bytes: pieceBytes }: OpenUpload): Generator<Piece[]> {
    let batch: Piece[] = [];
    let bytes = 0;
    for (const piece of missing) {
      const { size } = this.blob(piece, pieceBytes);
      if (batch.length === REQUEST_PIECES || (batch.length > 0 && bytes + size > REQUEST_BYTES)) {
        yield batch;
        [batch, bytes] = [[], 0];
      }
      batch.push(piece);
      bytes += size;
    }
    if (batch.length > 0) yield batch;
  }

  /** The answer to a request, which is sent again until there is one. */
  private async untilAnswered<Answer>(path: string, body: () => XMLHttpRequestBodyInit, sentBytes: number): Promise<Answer> {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      if (this.cancelled) throw new SendingFailed(CANCELLED);
      const request = await this.post(path, body(), (bytes) => this.listener.progress(sentBytes + bytes, false));
      if (request.status >= 200 && request.status < 300) return JSON.parse(request.responseText) as Answer;
      if (this.cancelled) throw new SendingFailed(CANCELLED);
      if (!COMES_BACK.includes(request.status)) throw new SendingFailed(sentence(request));
      for (const { file, name } of this.picked) await this.read(file.slice(0, 1), name); // else it would fail for ever
      this.listener.progress(sentBytes, true);
      await this.online(wait);
    }
  }

  private post(path: string, body: XMLHttpRequestBodyInit, progress: (bytes: number) => void): Promise<XMLHttpRequest> {
    return new Promise((resolve) => {
      const request = (this.request = new XMLHttpRequest());
      request.open('POST', this.address + path);
      for (const [name, value] of Object.entries(this.headers())) request.setRequestHeader(name, value);
      if (typeof body === 'string') request.setRequestHeader('Content-Type', 'application/json');
      else request.upload.addEventListener('progress', ({ loaded }) => progress(loaded));
      request.addEventListener('loadend', () => resolve(request));
      request.send(body);
    });
  }

  private headers(): Record<string, string> {
    return { Accept: 'application/json', 'X-CSRFToken': this.csrfToken };
  }

  /** Resolves after `wait` ms, or as soon as the browser has a connection again. */
  private online(wait: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        window.removeEventListener('online', done);
        resolve();
      };
      const timer = setTimeout(done, wait);
      window.addEventListener('online', done);
      this.stopWaiting = done;
    });
  }
}

/** The end of a name as the server takes it: no half of a sign, but something to be seen. */
function shownName(name: string): string {
  const end = [...name].slice(-SHOWN_NAME).join('');
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(end) ? end : UNSEEN_NAME;
}

/** By name; files of one name by size and age. */
function inOrder(one: Picked, other: Picked): number {
  if (one.name !== other.name) return one.name < other.name ? -1 : 1;
  return one.file.size - other.file.size || one.file.lastModified - other.file.lastModified;
}

function formOf(pieces: Piece[], blobs: Blob[]): FormData {
  const form = new FormData();
  pieces.forEach(([file, piece], number) => {
    form.append('pieces', blobs[number]!);
    form.append('numbers', `${file}.${piece}`);
  });
  return form;
}

/** What the server said of a request that it refused. */
function sentence(request: XMLHttpRequest): string {
  if (request.status === 401 || request.status === 403) {
    return gettext('You are no longer logged in. Open this page again to log in, then choose the same files: only the rest will be sent.');
  }
  if (request.status === 413) return gettext('The server refuses requests of this size: tell your IT.');
  try {
    const first = firstSentence(JSON.parse(request.responseText));
    if (first) return first;
  } catch {
    // Not JSON: the general sentence below says what to do.
  }
  const unsaid = gettext('The server could not take the files (error %(status)s). Please try again.');
  return interpolate(unsaid, { status: request.status });
}
