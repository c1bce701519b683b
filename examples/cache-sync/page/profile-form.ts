import { FIELDS, type EditableProfile, type FieldName } from '../profile.js';
import { element, say } from './elements.js';

/** Resolves with what is to be told. `seen` is what was shown. */
type Save = (values: Partial<Record<FieldName, string>>, seen: EditableProfile) => Promise<string>;

/** What was typed into the fields, and not saved. */
export type Draft = Readonly<Partial<Record<FieldName, string>>>;

/** Shows one profile, and what its user makes of it. */
export class ProfileForm {
  readonly #form = element('profile', HTMLFormElement);
  readonly #saved = element('saved', HTMLOutputElement);
  readonly #inputs: Readonly<Record<FieldName, HTMLInputElement>> = {
    name: element('name', HTMLInputElement),
    mail: element('mail', HTMLInputElement),
  };
  /** What the profile was when it was shown last. */
  #shown: EditableProfile | undefined;
  /** What was typed into the profile before it was left. */
  #draft: Draft = {};
  /** Counts whose turn it is to be edited. */
  #turn = 0;

  /** `save` resolves with what is to be told; if it rejects, that is told as well. */
  constructor(save: Save) {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit(save);
    });
    this.show(undefined);
  }

  /** What is being typed now. */
  draft(): Draft {
    const shown = this.#shown;
    if (shown === undefined) return this.#draft;
    const typed = FIELDS.map((name) => [name, this.#inputs[name].value] as const);
    return Object.fromEntries(typed.filter(([name, value]) => value.trim() !== shown[name].value));
  }

  /** Forgets what is being edited. `draft` is typed into the profile that is shown next. */
  reset(draft: Draft = {}): void {
    this.#shown = undefined;
    this.#draft = draft;
    this.#turn += 1;
    this.tell('');
    for (const name of FIELDS) {
      this.#inputs[name].value = '';
      this.#note(name, '');
    }
  }

  /** Shows `profile`, except where something else is being typed. */
  show(profile: EditableProfile | undefined): void {
    for (const control of this.#form.elements) {
      if (control instanceof HTMLInputElement || control instanceof HTMLButtonElement)
        control.disabled = profile === undefined;
    }
    const before = this.#shown;
    this.#shown = profile;
    if (profile === undefined) return;
    for (const name of FIELDS) {
      const input = this.#inputs[name];
      const { value } = profile[name];
      const draft = before === undefined ? this.#draft[name] : undefined;
      if (draft !== undefined) {
        input.value = draft;
        continue;
      }
      const typed = input.value.trim();
      const isTyped = before !== undefined && typed !== before[name].value && typed !== value;
      if (!isTyped) {
        if (input.value !== value) input.value = value;
        this.#note(name, '');
      } else if (value !== before[name].value)
        this.#note(name, `Meanwhile changed to “${value}”. Saving replaces that.`);
    }
  }

  tell(text: string): void {
    say(this.#saved, text);
  }

  async #submit(save: Save): Promise<void> {
    if (this.#shown === undefined || !this.#isValid()) return;
    const shown = this.#shown;
    const typed = FIELDS.map((name) => [name, this.#inputs[name].value.trim()] as const);
    const values = Object.fromEntries(typed.filter(([name, value]) => value !== shown[name].value));
    if (Object.keys(values).length === 0) return this.tell('There is nothing to save.');
    const turn = this.#turn;
    try {
      const told = await save(values, shown);
      if (turn === this.#turn) this.tell(told);
    } catch (error) {
      console.error('An edit could not be kept:', error);
      if (turn === this.#turn)
        this.tell('That could not be saved: this browser has no room for it, or lets nothing be kept.');
    }
  }

  /** Says under each field what is wrong with it, and leads to the first. */
  #isValid(): boolean {
    const invalid = FIELDS.filter((name) => {
      const input = this.#inputs[name];
      const problem = input.value.trim() === '' ? 'This field is needed.' : input.validationMessage;
      this.#note(name, problem, problem !== '');
      return problem !== '';
    });
    const [first] = invalid;
    if (first !== undefined) this.#inputs[first].focus();
    return first === undefined;
  }

  #note(name: FieldName, text: string, invalid = false): void {
    this.#inputs[name].setAttribute('aria-invalid', String(invalid));
    say(element(`${name}-note`, HTMLSpanElement), text);
  }
}
