/** Rebuilds an image from its lock, in a process of its own so that it can be started where no network is: `verify CACHE DIRECTORY`. Writes one line of JSON. */
import { verifyImage } from '../../services/builder/index.ts';

const [cache = '', directory = ''] = process.argv.slice(2);
try {
  const { same, reasons } = await verifyImage(directory, { cache });
  console.log(JSON.stringify({ same, reasons }));
} catch (error) {
  console.log(JSON.stringify({ refused: (error as Error).message }));
}
