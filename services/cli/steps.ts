/** Shows steps as they run: a live list on a terminal, a line for each when piped, JSON objects with --json. */
import { Listr, ListrLogger, ProcessOutput } from 'listr2';
import { toFault } from '../core/errors/index.ts';
import { duration, type Output } from './output.ts';

export interface ShownStep {
  readonly title: string;
  readonly skip?: string | false;
  run(say: (line: string) => void): Promise<string | undefined>;
}

export async function runSteps(steps: readonly ShownStep[], output: Output): Promise<void> {
  if (!output.live) return runPlainly(steps, output);
  const tasks = steps.map((step) => ({
    title: step.title,
    skip: () => step.skip || false,
    async task(_: unknown, task: { title: string; output: string }) {
      const started = Date.now();
      const did = await step.run((line) => {
        task.output = line;
      });
      task.title = `${step.title}${did ? `: ${did}` : ''} (${duration(Date.now() - started)})`;
    },
  }));
  // Standard output is the result's alone.
  const logger = new ListrLogger({
    useIcons: true,
    toStderr: [],
    processOutput: new ProcessOutput(process.stderr, process.stderr),
  });
  await new Listr(tasks, { rendererOptions: { collapseSkips: false, showErrorMessage: false, logger } }).run();
}

async function runPlainly(steps: readonly ShownStep[], output: Output): Promise<void> {
  for (const step of steps) {
    if (step.skip) {
      output.progress(`- ${step.title}: ${step.skip}`, { step: step.title, state: 'skipped' });
      continue;
    }
    const started = Date.now();
    try {
      const did = await step.run(
        (line) => output.json && output.progress(line, { step: step.title, state: 'running' }),
      );
      const seconds = (Date.now() - started) / 1000;
      output.progress(`✔ ${step.title}${did ? `: ${did}` : ''} (${duration(seconds * 1000)})`, {
        step: step.title,
        state: 'done',
        seconds,
      });
    } catch (error) {
      output.progress(`✘ ${step.title}`, { step: step.title, state: 'failed', reason: toFault(error).message });
      throw error;
    }
  }
}
