/** Listens for switches in the namespace that it is started in; the interfaces are the arguments. */
import { neighboursOf } from '../../services/agent/lldp.ts';

process.stdout.write(JSON.stringify([...(await neighboursOf(process.argv.slice(2), 3, console.error))]));
