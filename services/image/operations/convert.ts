/** Cuts an uploaded image into chunks. Until it has ended the image is active and cannot be deployed. */
import { defineOperation, type Operation } from '../../core/operations/index.ts';
import type { Chunked } from '../chunked.ts';
import { type Ground, subject } from '../ground.ts';
import { chunkSteps } from './steps.ts';

export type ConvertParams = Readonly<Record<string, never>>;

export function convertOperation(ground: Ground, chunked: Chunked): Operation<ConvertParams> {
  return defineOperation<ConvertParams>({
    kind: 'image.convert',
    definition: 1,
    title: 'convert the image',
    steps: chunkSteps<ConvertParams>(ground, chunked),
    async failed(run, error, tx) {
      const about = { reason: error.sentence, remedy: error.remedy };
      await ground.house.recorder.append(tx, 'image.not-converted', subject(run.subject.id), about);
    },
  });
}
