import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { unitName } from './services.ts';
import { unitText } from './systemd.ts';

const launcher = join(import.meta.dirname, 'supervise');

/** `systemd-analyze verify`, which needs no running systemd: what it complains of, or nothing. */
function complaints(text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'uc-unit-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'undercloud-test.service');
  writeFileSync(file, text);
  try {
    execFileSync('systemd-analyze', ['verify', file], { stdio: 'pipe' });
    return '';
  } catch (error) {
    return String((error as { stderr: Buffer }).stderr);
  }
}

test('the unit starts the supervisor, and leaves it time to end its children in their order', () => {
  const text = unitText({ launcher, stateDir: '/var/lib/undercloud' });
  expect(text).toContain(`ExecStart="${launcher}" --state "/var/lib/undercloud"\n`);
  expect(text).toContain('KillMode=mixed\nTimeoutStopSec=70\n');
  expect(text).toContain('WantedBy=multi-user.target');
  expect(complaints(text)).toBe('');
});

test('a state directory with blanks, quotes and specifiers stays one argument', () => {
  const text = unitText({ launcher, stateDir: '/srv/my $HOME "50%n" a\\b' });
  expect(text).toContain('--state "/srv/my $$HOME \\"50%%n\\" a\\\\b"');
  expect(complaints(text)).toBe('');
});

test('systemd would complain of a launcher that is not there', () => {
  expect(complaints(unitText({ launcher: '/nonexistent/supervise', stateDir: '/srv/x' }))).toContain('not executable');
});

test('the first undercloud has the plain name, others their path’s hash', () => {
  expect(unitName('/var/lib/undercloud/')).toBe('undercloud.service');
  expect(unitName('/srv/a')).toMatch(/^undercloud-[0-9a-f]{8}\.service$/);
  expect(unitName('/srv/a')).not.toBe(unitName('/srv/b'));
});
