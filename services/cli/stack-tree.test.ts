import { describe, expect, it } from 'vitest';
import { failuresOf, isDeployed, isSettled, marksOf, type Tree, treeOf, treeRows } from './stack-tree.ts';

const at = '2026-01-01T00:00:00.000Z';
const now = Date.parse(at) + 20_000;
const resource = (name: string, action: string, status: string, more: object = {}) => ({
  name,
  type: 'OS::Heat::Value',
  action,
  status,
  reason: '',
  physical_id: status === 'COMPLETE' ? `${name}-id` : null,
  started_at: action === 'INIT' ? null : at,
  seconds: null,
  blocked_on: null,
  requires: [],
  resources: [],
  ...more,
});
const tree = (status: string, resources: object[], more: object = {}): Tree =>
  treeOf({ id: '1', name: 's', action: 'CREATE', status, reason: '', step: null, resources, ...more });
const lines = (shown: Tree, view: Partial<Parameters<typeof treeRows>[1]> = {}): string[] =>
  treeRows(shown, { fold: false, since: Date.parse(at), ...view }, now).map(
    (row) => `${'  '.repeat(row.depth ?? 0)}${row.state} ${row.name} | ${row.text} | ${row.clock ?? ''}`,
  );

describe('a stack as a tree', () => {
  it('tells a cause once, where it is, and not at what it brought down or on the way out', () => {
    const failed = (name: string, reason: string, more: object = {}) =>
      resource(name, 'CREATE', 'FAILED', { reason, ...more });
    const cause = 'No node can take the server c.';
    const resources = [
      failed('all', `resources.all.resources[2]: ${cause}`, {
        resources: [failed('0', `CREATE aborted: Resource CREATE failed: ${cause}`), failed('2', cause)],
      }),
      failed('other', `CREATE aborted: Resource CREATE failed: ${cause}`),
    ];
    expect(failuresOf(tree('FAILED', resources))).toEqual([{ path: 'all.2', reason: cause }]);
    expect(lines(tree('FAILED', resources)).slice(1)).toEqual([
      '  failed all  OS::Heat::Value | failed: all.2 | ',
      '    failed 0  OS::Heat::Value | cut short, because something else failed | ',
      `    failed 2  OS::Heat::Value | ${cause} | `,
      '  failed other  OS::Heat::Value | cut short, because something else failed | ',
    ]);
    const leaving = lines(tree('IN_PROGRESS', resources, { action: 'DELETE' }));
    expect(leaving.slice(1).every((line) => /^ +idle /.test(line) && !line.includes('No node'))).toBe(true);
    // Cut short by the operator, nothing else failed: then that is the cause.
    const alone = [failed('a', 'CREATE aborted: Stack CREATE cancelled')];
    expect(failuresOf(tree('FAILED', alone))).toEqual([
      { path: 'a', reason: 'CREATE aborted: Stack CREATE cancelled' },
    ]);
  });

  it('tells of each resource what it waits for', () => {
    const shown = tree('IN_PROGRESS', [
      resource('net', 'CREATE', 'COMPLETE', { seconds: 1.5 }),
      resource('server', 'CREATE', 'IN_PROGRESS', {
        type: 'OS::Nova::Server',
        blocked_on: {
          on: 'the agent’s heartbeat',
          since: '2026-01-01T00:00:10.000Z',
          usual_seconds: 30,
          remedy: 'Look.',
        },
      }),
      resource('after', 'INIT', 'COMPLETE', { requires: ['net', 'server'] }),
      resource('group', 'CREATE', 'IN_PROGRESS', {
        type: 'file:///srv/role.yaml',
        resources: [resource('inner', 'CREATE', 'FAILED', { reason: 'no disk' })],
      }),
    ]);
    expect(lines(shown)).toEqual([
      'running s | creating | 1 of 4, 20 s',
      '  done net  OS::Heat::Value | created | 1.5 s',
      '  running server  OS::Nova::Server | waits for the agent’s heartbeat | 10 s of usually 30 s',
      '  idle after  OS::Heat::Value | waits for server | ',
      '  running group  role.yaml | creating | 20 s',
      '    failed inner  OS::Heat::Value | no disk | ',
    ]);
    expect(failuresOf(shown)).toEqual([{ path: 'group.inner', reason: 'no disk' }]);
  });

  it('adds the remedy to a wait that is overdue', () => {
    const blocked_on = { on: 'a lease', since: at, usual_seconds: 3, remedy: 'See the cable.' };
    const shown = tree('IN_PROGRESS', [resource('a', 'CREATE', 'IN_PROGRESS', { blocked_on })]);
    expect(lines(shown)[1]).toContain('waits for a lease; overdue: See the cable.');
  });

  it('tells what an update keeps, and gives what is replaced a row of its own', () => {
    const before = marksOf(
      tree('COMPLETE', [resource('a', 'CREATE', 'COMPLETE'), resource('b', 'CREATE', 'COMPLETE')]),
    );
    const shown = tree(
      'IN_PROGRESS',
      [
        resource('a', 'CREATE', 'COMPLETE'),
        resource('b', 'CREATE', 'IN_PROGRESS'),
        resource('b', 'DELETE', 'IN_PROGRESS', { physical_id: 'old' }),
      ],
      { action: 'UPDATE' },
    );
    const rows = treeRows(shown, { fold: false, since: now, before }, now);
    expect(rows.map((row) => `${row.state} ${row.name}`)).toEqual([
      'running s',
      'skipped a  OS::Heat::Value',
      'running b  OS::Heat::Value',
      'running b (before)  OS::Heat::Value',
    ]);
    expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
  });

  it('folds what is done on a terminal', () => {
    const inner = [resource('x', 'CREATE', 'COMPLETE')];
    const shown = tree('COMPLETE', [resource('g', 'CREATE', 'COMPLETE', { resources: inner })]);
    expect(lines(shown, { fold: true })).toHaveLength(2);
    expect(lines(shown, { fold: false })).toHaveLength(3);
  });

  it('knows the end, and whether anything is deployed', () => {
    expect(isSettled(tree('IN_PROGRESS', []))).toBe(false);
    expect(isSettled(tree('FAILED', []))).toBe(true);
    const server = (status: string) => resource('s', 'CREATE', status, { type: 'OS::Nova::Server' });
    expect(isDeployed(tree('FAILED', [server('FAILED')]))).toBe(false);
    expect(isDeployed(tree('FAILED', [resource('g', 'CREATE', 'FAILED', { resources: [server('COMPLETE')] })]))).toBe(
      true,
    );
  });

  it.each([null, 1, 'x', [], {}, { resources: 7 }, { resources: [null, { resources: 'x' }] }])(
    'bears an answer like %j',
    (body) => {
      expect(() => treeRows(treeOf(body), { fold: false, since: now }, now)).not.toThrow();
    },
  );
});
