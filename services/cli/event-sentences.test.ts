import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { timelineLines } from './commands/node-timeline.ts';
import { eventSentence } from './event-sentences.ts';
import { isOverdue, progressText, waitOf, waitText } from './waits.ts';

describe('events in words', () => {
  it('are told by their own sentence, by the table, or by their fields', () => {
    expect(eventSentence('dhcp.exchange', { text: 'DHCP: offered 192.0.2.7', mac: 'x' })).toBe(
      'DHCP: offered 192.0.2.7',
    );
    expect(eventSentence('node.provision-state', { from: 'enroll', to: 'verifying', event: 'manage' })).toBe(
      'enroll → verifying (manage)',
    );
    expect(eventSentence('node.of-tomorrow', { a: 1, b: { c: 2 } })).toBe('node.of-tomorrow a=1 b={"c":2}');
  });

  it('bear fields that are not there', () => {
    expect(eventSentence('node.updated', {})).toBe('node.updated');
    expect(eventSentence('node.provision-state', { from: 'x' })).toBe('node.provision-state from=x');
  });

  it('stand one a line, with the time since the one before, durations and causes', () => {
    const event = (id: number, at: string, more: object = {}) => ({
      id,
      at,
      kind: 'node.power-state',
      data: { from: 'off', to: 'on' },
      duration_ms: null,
      cause: null,
      ...more,
    });
    const lines = timelineLines([
      event(1, '2026-01-01T23:59:59.000Z'),
      event(2, '2026-01-02T00:00:01.500Z', { duration_ms: 1200, cause: 'operation deploy' }),
      event(3, '2026-01-02T00:00:01.600Z', { data: { text: 'two\nlines' } }),
    ]).map(stripVTControlCharacters);
    expect(lines).toEqual([
      '2026-01-01 23:59:59.000                power on, was off',
      '2026-01-02 00:00:01.500        +2.5 s  power on, was off [took 1.2 s] ← operation deploy',
      '00:00:01.600        +0.1 s  two lines',
    ]);
  });
});

describe('waits in words', () => {
  const since = Date.parse('2026-01-01T00:00:00Z');
  it('read both spellings', () => {
    const wait = { on: 'x', since: '2026-01-01T00:00:00', usualSeconds: 3, remedy: 'r' };
    expect(waitOf(wait)).toEqual({ on: 'x', since, usualSeconds: 3, remedy: 'r' });
    expect(waitOf({ ...wait, usualSeconds: undefined, usual_seconds: 4 })?.usualSeconds).toBe(4);
    expect(waitOf('x')).toBeNull();
    expect(waitOf({})).toBeNull();
  });

  it('tell the remedy once they are overdue', () => {
    const wait = { on: 'the BMC', since, usualSeconds: 10, remedy: 'See its cable.' };
    expect(waitText(wait, since + 20_000)).toBe('waits for the BMC');
    expect(isOverdue(wait, since + 25_001)).toBe(true);
    expect(waitText(wait, since + 30_000)).toBe('waits for the BMC; overdue: See its cable.');
    expect(isOverdue({ ...wait, usualSeconds: null }, since + 60_000)).toBe(false);
  });

  it('tell progress in bytes and in other things', () => {
    expect(progressText({ done: 50e6, total: 200e6, unit: 'bytes' })).toBe('25 % (50.0 MB of 200.0 MB)');
    expect(progressText({ done: 0, total: 0, unit: 'chunks' })).toBe('(0 of 0 chunks)');
  });
});
