import { FIELDS, type EditableProfile } from '../profile.js';
import { Banner } from './banner.js';
import { element, say } from './elements.js';
import { log } from './event-log.js';
import { listen } from './live.js';
import { ProfileForm, type Draft } from './profile-form.js';
import { connection, edit, edits, profiles, receive, refresh, reload, users } from './profiles.js';
import { showRefused } from './refused-edits.js';
import { beginSaving, savingOf, watchSaving } from './saving.js';
import { author, noteSync, setShownUser, shownUser } from './settings.js';
import { showSync, startPolicyChoice } from './sync-panel.js';

/** Milliseconds after which a profile that could not be shown is asked for again. */
const RETRY_AFTER = 5_000;

const LABELS = { name: 'name', mail: 'e-mail' } as const;

const banner = new Banner();
const choice = element('user', HTMLSelectElement);
const form = new ProfileForm(async (values, seen) => {
  const id = user;
  beginSaving(id);
  await edit(id, values, seen);
  return savingOf(id);
});
/** Whose profile is shown. */
let user = '';
let shown: EditableProfile | undefined;
/** What was typed and not saved, by the profile in which it was. */
const drafts = new Map<string, Draft>();
let stopListening = (): void => {};
let retry: ReturnType<typeof setTimeout> | undefined;

/** Shows the profile as it is known by now. */
async function show(): Promise<void> {
  const id = user;
  let profile: EditableProfile | undefined;
  try {
    profile = await profiles.get(id);
  } catch {
    if (id !== user) return;
    clearTimeout(retry);
    retry = setTimeout(() => void show(), RETRY_AFTER);
    // What is being typed stays.
    if (shown === undefined) form.tell('This profile is not in this browser yet, and the server did not give it.');
    return showStatus();
  }
  if (id !== user) return;
  if (profile === undefined) form.tell('There is no such profile.');
  else if (shown === undefined) form.tell('');
  tellOfOthers(shown, profile);
  shown = profile;
  form.show(profile);
  await showStatus();
}

/** What changed in front of the user, and not by the user. */
function tellOfOthers(before: EditableProfile | undefined, after: EditableProfile | undefined): void {
  if (before === undefined || after === undefined) return;
  for (const name of FIELDS) {
    const { value, by } = after[name];
    if (value !== before[name].value && by !== author) log(`The ${LABELS[name]} is now “${value}”, edited elsewhere.`);
  }
}

/** The question that is not answered yet. */
let asked: ReturnType<typeof edits.status> | undefined;

async function showStatus(): Promise<void> {
  // One at a time: nobody may answer for long.
  asked ??= edits.status().finally(() => (asked = undefined));
  const status = await asked.catch(() => {});
  if (status === undefined) return;
  const { pending } = status;
  say(element('banner', HTMLParagraphElement), banner.textFor(connection.state, pending));
  showSync(pending);
}

function choose(id: string): void {
  drafts.set(user, form.draft());
  user = id;
  shown = undefined;
  setShownUser(id);
  form.reset(drafts.get(id));
  form.show(undefined);
  stopListening();
  stopListening = listen(id, {
    connected: () => void refresh(id).then(show, () => {}),
    changed: (profile) => void receive(id, profile).then(show, () => {}),
    outdated: () => void reload(id).then(show, () => {}),
  });
  void show();
}

async function showUsers(): Promise<void> {
  const ids = await users.get('all');
  choice.replaceChildren(...ids.map((id) => new Option(id, id)));
  choice.value = ids.includes(shownUser() ?? '') ? shownUser()! : ids[0]!;
  choose(choice.value);
}

function start(): void {
  startPolicyChoice();
  choice.addEventListener('change', () => choose(choice.value));
  watchSaving((key, text) => {
    if (key === user) form.tell(text);
  });
  edits.on('accept', ({ key }) => {
    if (key === user) void show();
    else void showStatus();
  });
  edits.on('deliver', ({ key }) => {
    noteSync(Date.now());
    log(`Sent the edit of ${key}.`);
    // The server may have merged it with what others wrote.
    if (key === user) void reload(key).then(show, () => {});
    void showStatus();
  });
  edits.on('conflict', ({ key, resolution }) => {
    const outcome = resolution === 'local' ? 'your edit goes on' : 'their edit was kept';
    log(`Conflict: ${key} was edited elsewhere at the same time; ${outcome}.`);
    if (key === user) void show();
  });
  edits.on('dead-letter', ({ key, reason }) => {
    log(`The edit of ${key} was refused: ${reason}.`);
    if (key === user) void show();
    showRefused().catch(() => {});
  });
  edits.on('restore', () => void showStatus());
  edits.on('batch-error', () => void showStatus());
  connection.on((state) => {
    void showStatus();
    // Never been here before, and no server until now.
    if (state === 'online' && user === '') void showUsers().catch(() => {});
  });
  showUsers().catch(() => form.tell('The server can not be reached, and this browser knows no profile yet.'));
  void showStatus();
  showRefused().catch(() => {});
  // Times and counts that change without an event.
  setInterval(() => void showStatus(), 1_000);
  // What was changed past the objects is told by nobody.
  setInterval(() => user !== '' && void show(), 60_000);
  navigator.serviceWorker?.register('/offline.js').catch(() => {}); // without it, a reload needs the server
}

start();
