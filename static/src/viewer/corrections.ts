/** Under the image: what the AI says of the slice on show, what a reader says, and the buttons to say it. */
import { announce } from '../announcer';
import { day, firstSentence, gettext, interpolate, ratio } from '../words';
import type { Correction, Slice } from './scan';

const LOST = gettext('The connection broke, so what you said of the slice was not saved. Please try again.');

/** The AI's decision in words. */
function decision(slice: Slice): string {
  if (slice.probability === null) return gettext('There is no lung on this slice, or too little for the AI to judge.');
  const says = slice.positive
    ? gettext('The AI says abnormal (probability %(probability)s).')
    : gettext('The AI does not call this slice abnormal (probability %(probability)s).');
  return interpolate(says, { probability: ratio(slice.probability) });
}

/** What a reader says, who and when: the site's day, wherever its reader sits. */
function saying({ abnormal, user, created_at }: Correction, timeZone: string): string {
  const says = abnormal ? gettext('%(reader)s says abnormal (%(day)s)') : gettext('%(reader)s says normal (%(day)s)');
  return interpolate(says, { reader: user ?? gettext('A reader'), day: day(created_at, timeZone) });
}

/** What the server said of a word that it refused. */
async function sentenceOf(answer: Response): Promise<string> {
  const body: unknown = await answer.json().catch(() => ({}));
  const unsaid = gettext('This could not be saved (error %(status)s). Please try again.');
  return firstSentence(body) ?? interpolate(unsaid, { status: answer.status });
}

export class Corrections {
  private slice: Slice | null = null;
  private index = 0;
  private readonly saving = new Set<Slice>();
  private readonly buttons: HTMLButtonElement[];
  private readonly reason: HTMLInputElement;

  /** `corrected`: something was saved. */
  constructor(
    private readonly root: HTMLElement,
    private readonly corrected: () => void,
  ) {
    this.reason = root.querySelector<HTMLInputElement>('[name=reason]')!;
    this.buttons = [...root.querySelectorAll('button')];
    for (const button of this.buttons) button.addEventListener('click', () => void this.say(button.value === 'abnormal'));
  }

  /** Another slice is on show; a reason that was typed for the last one, and what went wrong there, do not go with it. */
  show(slice: Slice, index: number): void {
    if (slice !== this.slice) {
      this.reason.value = '';
      this.write('problem', '');
    }
    this.slice = slice;
    this.index = index;
    this.write('ai', decision(slice));
    this.write('reader', slice.correction ? saying(slice.correction, this.timeZone) : '');
    this.write('reason', slice.correction?.reason ? `: ${slice.correction.reason}` : '');
    for (const button of this.buttons) {
      button.setAttribute('aria-pressed', String(slice.correction?.abnormal === (button.value === 'abnormal')));
    }
  }

  private get timeZone(): string {
    return this.root.dataset.timeZone!;
  }

  private write(place: string, text: string): void {
    this.root.querySelector(`[data-correction-${place}]`)!.textContent = text;
  }

  /** Saves what the reader says of the slice on show, which may be another one when the answer comes. */
  private async say(abnormal: boolean): Promise<void> {
    const { slice, index } = this;
    if (!slice || this.saving.has(slice)) return;
    this.saving.add(slice);
    const answer = await this.send({ sop_instance_uid: slice.sop_instance_uid, abnormal, reason: this.reason.value }).catch(() => null);
    this.saving.delete(slice);
    if (!answer?.ok) {
      const problem = answer ? await sentenceOf(answer) : LOST;
      this.write('problem', interpolate(gettext('Slice %(number)s: %(problem)s'), { number: index + 1, problem }));
      return;
    }
    slice.correction = (await answer.json()) as Correction;
    this.write('problem', '');
    if (slice === this.slice) {
      this.reason.value = '';
      this.show(slice, index);
    }
    this.corrected();
    const saved = interpolate(gettext('Saved for slice %(number)s: %(said)s'), { number: index + 1, said: saying(slice.correction, this.timeZone) });
    announce(saved);
  }

  private send(said: object): Promise<Response> {
    const token = this.root.querySelector<HTMLInputElement>('[name=csrfmiddlewaretoken]')!.value;
    return fetch(this.root.dataset.correction!, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json', 'X-CSRFToken': token },
      body: JSON.stringify(said),
    });
  }
}
