import { expect, it } from 'vitest';
import { fault } from '../services/core/errors/index.ts';
import { sentenced } from './steps.ts';

const failing = (error: Error) =>
  sentenced({ title: 'Install Debian packages', run: () => Promise.reject(error) }).run(() => {});

it('a program that fails ends bootstrap with the step’s name, its own words and the remedy', async () => {
  const words = '`apt-get install x` ended with 100:\nE: Unable to locate package x';
  await expect(failing(new Error(words))).rejects.toThrow(
    `Bootstrap could not install Debian packages: ${words}. Mend that and run \`undercloud bootstrap\` again`,
  );
});

it('a fault stays the one it is', async () => {
  const known = fault('usage', { reason: 'No.' });
  await expect(failing(known)).rejects.toBe(known);
});
