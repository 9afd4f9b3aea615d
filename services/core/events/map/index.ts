/** Every event of the appliance, by the service that emits it. The list is the observability surface: add a line, not a log. */
import type { BaremetalEvents } from './baremetal.ts';
import type { BootEvents } from './boot.ts';
import type { ComputeEvents } from './compute.ts';
import type { CoreEvents } from './core.ts';
import type { ImageEvents } from './image.ts';
import type { NetworkEvents } from './network.ts';
import type { OrchestrationEvents } from './orchestration.ts';
import type { PowerEvents } from './power.ts';

export interface EventMap
  extends CoreEvents,
    ImageEvents,
    PowerEvents,
    NetworkEvents,
    BaremetalEvents,
    BootEvents,
    ComputeEvents,
    OrchestrationEvents {}
