/** What is killed comes back, and a bootstrap that was killed anywhere is mended by another. APIs only: no node boots here. */
import { readdirSync, watch } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Standing } from '../../bootstrap/index.ts';
import { startOf } from '../../bootstrap/process.ts';
import { picture, pidOf, ready, type Site, site, supervisorOf } from './undercloud.fixture.ts';

let home: Site;

beforeAll(async () => {
  home = await site();
  expect(await home.bootstrap()).toMatchObject({ code: 0 });
});

afterAll(() => home?.remove());

describe('what is killed', () => {
  test('serve is started again, and nobody who asks meanwhile is refused', async () => {
    const standing = await picture(home);
    const pid = pidOf(standing, 'serve');
    process.kill(pid, 'SIGKILL');
    let answered = false;
    const answer = home.get('/identity/v3').finally(() => {
      answered = true;
    });
    let connections = 0;
    for (; !answered; connections += 1) {
      await new Promise<void>((resolve, reject) => {
        const socket = connect(home.port, '127.0.0.1');
        socket.once('error', reject);
        socket.once('connect', () => resolve(void socket.destroy()));
      });
    }
    expect(await answer).toBe(200);
    expect(connections).toBeGreaterThan(10);
    expect(pidOf(await picture(home), 'serve')).not.toBe(pid);
    expect((await home.undercloud('status')).stdout).toMatch(/serve +\d+ +1 /);
  });

  test('PostgreSQL and Redis are started again below a running serve', async () => {
    const standing = await picture(home);
    for (const name of ['postgresql', 'redis']) process.kill(pidOf(standing, name), 'SIGKILL');
    for (let status = 0; status !== 201; ) status = await home.login().catch(() => 0);
    const now = await picture(home);
    expect(pidOf(now, 'postgresql')).not.toBe(pidOf(standing, 'postgresql'));
    expect(pidOf(now, 'serve')).toBe(pidOf(standing, 'serve'));
  });

  test.each(['start', 'bootstrap', 'stop'] as const)(
    'after the supervisor’s death `%s` takes its children in hand',
    async (word) => {
      const standing = await picture(home);
      process.kill(supervisorOf(standing), 'SIGKILL');
      // Its children go on, and say so.
      await ready(home);
      const orphaned = await home.undercloud('status', '--json');
      expect(orphaned.code).toBe(1);
      const { orphans } = JSON.parse(orphaned.stdout) as Standing;
      expect(orphans.map((one) => one.name).sort()).toEqual(['postgresql', 'redis', 'serve']);
      const ran = word === 'bootstrap' ? await home.bootstrap() : await home.undercloud(word);
      expect(ran).toMatchObject({ code: 0 });
      for (const { pid } of orphans) expect(startOf(pid)).toBeNull();
      if (word === 'stop') expect((await home.undercloud('start')).code).toBe(0);
      await ready(home);
      expect((await picture(home)).children.map((child) => child.name)).toEqual(['postgresql', 'redis', 'serve']);
    },
  );
});

describe('an interrupted bootstrap', () => {
  test('killed after any of its lines is mended by another', async () => {
    let lines = 0;
    for (let at = 1; ; at += 1) {
      const half = await site();
      try {
        const killed = await half.bootstrapKilled((_line, number, kill) => number === at && kill());
        const mended = await half.bootstrap();
        expect(mended, `killed after line ${at}`).toMatchObject({ code: 0 });
        await ready(half);
        if (!killed) break;
        lines = at;
      } finally {
        await half.remove();
      }
    }
    expect(lines).toBeGreaterThan(7);
  });

  test.each([
    ['PostgreSQL’s cluster', /^postgresql\.new-/],
    ['its keys', /^keys$/],
  ])('killed while it makes %s leaves nothing that stops another', async (_what, name) => {
    const half = await site();
    onTestFinished(() => half.remove());
    const killed = await half.bootstrapKilled((line, _number, kill) => {
      if (!line.includes('the state directory')) return;
      const watcher = watch(half.state, (_event, file) => {
        if (file === null || !name.test(file)) return;
        watcher.close();
        kill();
      });
      if (readdirSync(half.state).some((file) => name.test(file))) kill();
    });
    expect(killed).toBe(true);
    expect((await half.bootstrap()).code).toBe(0);
    await ready(half);
    expect(readdirSync(half.state).filter((file) => file.includes('.new'))).toEqual([]);
    expect(readdirSync(half.paths.keys).sort()).toEqual([
      ...['api.key', 'api.pem', 'ca.key', 'ca.pem', 'secrets.key', 'signing.key'],
    ]);
  });
});
