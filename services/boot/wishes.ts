/** What a machine is to boot: its node's intent, or, for a machine that no node is, what the policy says of strangers. */
import type { BootSource, Wish } from './model.ts';

export interface StrangerBoot {
  readonly intent: 'discover' | 'none';
  readonly reason: string;
  readonly token?: string;
}

export interface WishesDeps {
  readonly baremetal: BootSource;
  /** Null: no answer at all for this MAC. */
  readonly strangerBoot: (mac: string) => StrangerBoot | null;
}

/** Where nothing better is known: the maker of the card, whose firmware it is that boots. */
const modelOfCard = (mac: string): string => `NIC ${mac.slice(0, 8)}`;

export function createWishes({ baremetal, strangerBoot }: WishesDeps): (mac: string) => Promise<Wish | null> {
  return async (mac) => {
    const intent = await baremetal.bootIntent(mac);
    if (intent)
      return {
        mac,
        node: intent.node,
        name: intent.node.name ?? intent.node.uuid,
        intent: intent.intent,
        reason: intent.reason,
        ...(intent.token !== undefined && { token: intent.token }),
        agentArguments: intent.agentArguments,
        model: intent.model || modelOfCard(mac),
        secureBoot: intent.secureBoot ?? false,
      };
    const stranger = strangerBoot(mac);
    if (!stranger) return null;
    return {
      mac,
      node: null,
      name: mac,
      ...stranger,
      agentArguments: {},
      model: modelOfCard(mac),
      secureBoot: false,
    };
  };
}
