import { describe, expect, test } from 'vitest';
import { Graph } from './graph.ts';

describe('the dependency graph', () => {
  test('orders what is needed before what needs it', () => {
    const graph = new Graph();
    graph.require('server', 'port');
    graph.require('port', 'net');
    graph.add('alone');
    const order = graph.order();
    expect(order.indexOf('net')).toBeLessThan(order.indexOf('port'));
    expect(order.indexOf('port')).toBeLessThan(order.indexOf('server'));
    expect(order).toContain('alone');
    expect(graph.requiredBy('port')).toEqual(new Set(['server']));
  });

  test('names a circle in full', () => {
    const graph = new Graph();
    graph.require('a', 'b');
    graph.require('b', 'c');
    graph.require('c', 'a');
    graph.require('outside', 'a');
    expect(() => graph.order()).toThrow(
      /Circular Dependency Found: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)$/,
    );
  });

  test('a resource that needs itself is a circle', () => {
    const graph = new Graph();
    graph.require('a', 'a');
    expect(() => graph.order()).toThrow('a -> a');
  });

  test('orders a chain of 100,000 without recursion', () => {
    const graph = new Graph();
    for (let i = 1; i < 100_000; i++) graph.require(`r${i}`, `r${i - 1}`);
    expect(graph.order().at(-1)).toBe('r99999');
  });
});
