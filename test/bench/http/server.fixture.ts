/** Files over HTTP as services/boot answers them: `server.fixture.ts ADDRESS PORT DIRECTORY`. */
import { basename, join } from 'node:path';
import { answerFile } from '../../../services/boot/file-answer.ts';
import { createApi, listen } from '../../../services/core/http/index.ts';

const [, , host = '', port = '', directory = ''] = process.argv;
const api = createApi();
api.get('/:file', (request, reply) => {
  const file = join(directory, basename((request.params as { file: string }).file));
  const nobody = { onProgress: () => {}, onEnd: () => {} };
  return answerFile(request, reply, { file, type: 'application/octet-stream' }, nobody);
});
await listen(api, { host, port: Number(port) });
process.on('SIGTERM', () => process.exit(0));
