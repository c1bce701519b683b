import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ensureInstalled } from './installed.ts';

/** Called once before the tests. Makes sure that there is a promtool. */
export function setup(): void {
  ensureInstalled({
    command: 'promtool',
    packageName: 'prometheus',
    whatToDo:
      'The tests need promtool on the path. Install it (Debian: apt-get install prometheus; macOS: brew install prometheus)',
  });
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
