/** What is typed at a console: `~` after a new line begins a command of ours, as with ssh; everything else is the machine's. */

export interface EscapeCommand {
  readonly key: string;
  readonly name: 'leave' | 'help' | 'take' | 'yield' | 'break' | 'size' | 'steal' | 'tilde';
  readonly says: string;
}

export const escapeCommands: readonly EscapeCommand[] = [
  { key: '.', name: 'leave', says: 'leave the console' },
  { key: 'w', name: 'take', says: 'take the writer’s place' },
  { key: 'W', name: 'yield', says: 'leave the writer’s place and watch' },
  { key: 'b', name: 'break', says: 'send a break (the system request key of a Linux console)' },
  { key: 'r', name: 'size', says: 'tell the machine’s shell this terminal’s size (types a stty command)' },
  { key: 't', name: 'steal', says: 'take the console from another program that holds it at the BMC' },
  { key: '?', name: 'help', says: 'this list' },
  { key: '~', name: 'tilde', says: 'send one tilde' },
];

export type Typed = { readonly bytes: Buffer } | { readonly command: EscapeCommand['name'] };

const tilde = 0x7e;

/** Keeps its state between chunks. What is no command goes to the machine with its tilde. */
export function escapeReader(): (chunk: Buffer) => Typed[] {
  let atLineStart = true;
  let begun = false;
  return (chunk) => {
    const typed: Typed[] = [];
    let bytes: number[] = [];
    const flush = () => {
      if (bytes.length > 0) typed.push({ bytes: Buffer.from(bytes) });
      bytes = [];
    };
    for (const byte of chunk) {
      if (begun) {
        begun = false;
        const command = escapeCommands.find(({ key }) => key.charCodeAt(0) === byte);
        if (command && command.name !== 'tilde') {
          flush();
          typed.push({ command: command.name });
          continue;
        }
        bytes.push(tilde);
        atLineStart = false;
        if (command) continue;
      } else if (byte === tilde && atLineStart) {
        begun = true;
        continue;
      }
      bytes.push(byte);
      atLineStart = byte === 0x0d || byte === 0x0a;
    }
    flush();
    return typed;
  };
}

export const escapeHelp = (): string[] => [
  'After a new line:',
  ...escapeCommands.map(({ key, says }) => `  ~${key}  ${says}`),
];
