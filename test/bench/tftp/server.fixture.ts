/** Our TFTP server as a process by itself: `server.fixture.ts DEVICE ADDRESS DIRECTORY`, as services/boot puts it together. */
import { datagramPort, ephemeralPort } from '../../../services/core/datagrams.ts';
import { datagramSocket } from '../../../services/core/sockets.ts';
import { directoryContent, serveTftp } from '../../../services/tftp/index.ts';

const [, , device = '', address = '', directory = ''] = process.argv;
serveTftp({
  socket: datagramPort(datagramSocket('TFTP', device, address, 69)),
  createTransferSocket: async () => ephemeralPort(address),
  open: directoryContent(directory),
});
process.stdout.write('ready\n');
process.on('SIGTERM', () => process.exit(0));
