// Error answers of our mock-up, in the form of each flavour (DSP0266 "Error responses").
import type { MockupFlavour } from './mockup-flavour.ts';
import type { Body } from './mockup-tree.ts';

export interface MockupAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** Null: none. */
  readonly body: Body | null;
}

export interface MockupMessage {
  readonly id: string;
  readonly text: string;
  readonly args?: readonly string[];
  readonly property?: string;
}

export function refusal(
  flavour: MockupFlavour,
  status: number,
  message: MockupMessage,
  headers: Record<string, string> = {},
): MockupAnswer {
  const { id, text, args = [], property } = message;
  const info =
    flavour.errors === 'bare'
      ? { MessageArgs: args, MessageId: id }
      : {
          '@odata.type': '#Message.v1_1_2.Message',
          MessageId: id,
          Message: text,
          MessageArgs: args,
          ...(property && { RelatedProperties: [`#/${property}`] }),
          MessageSeverity: 'Warning',
          Resolution: 'None.',
        };
  const error =
    flavour.errors === 'bare'
      ? { code: 'iLO.0.10.ExtendedInfo', message: 'See @Message.ExtendedInfo for more information.' }
      : {
          code: 'Base.1.8.GeneralError',
          message: 'A general error has occurred. See ExtendedInfo for more information.',
        };
  return {
    status,
    headers,
    body: { error: { ...error, '@Message.ExtendedInfo': flavour.errors === 'single' ? info : [info] } },
  };
}

export const base = (key: string, text: string, args: readonly string[] = [], property?: string): MockupMessage => ({
  id: `Base.1.8.${key}`,
  text,
  args,
  ...(property && { property }),
});
