import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const WHAT_TO_DO =
  'The tests need promtool on the path. Install it (Debian: apt-get install prometheus; macOS: brew install prometheus)';

/** Called once before the tests. Makes sure that there is a promtool. */
export function setup(): void {
  if (isInstalled()) return;
  if (process.platform !== 'linux' || process.getuid?.() !== 0) throw new Error(WHAT_TO_DO);
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'pipe' });
    execFileSync('apt-get', ['install', '-qq', '-y', '--no-install-recommends', 'prometheus'], { env, stdio: 'pipe' });
  } catch {
    throw new Error(WHAT_TO_DO);
  }
  if (!isInstalled()) throw new Error(WHAT_TO_DO);
}

/** Checks a scrape and returns what promtool has against it; empty where that is nothing. */
export function checkMetrics(text: string): string {
  return output(['check', 'metrics'], text);
}

/** Runs the rule tests in `tests`, JSON being YAML, against `rules`, and returns what failed; empty where that is nothing. */
export function testRules(rules: string, tests: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'soloflight-rules-'));
  try {
    writeFileSync(join(folder, 'tests.yml'), JSON.stringify({ rule_files: [rules], ...(tests as object) }));
    return output(['test', 'rules', join(folder, 'tests.yml')]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function output(command: readonly string[], input = ''): string {
  try {
    execFileSync('promtool', command, { input, stdio: 'pipe', encoding: 'utf8' });
    return '';
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    return `${stdout}${stderr}`;
  }
}

function isInstalled(): boolean {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}
