// What the panels of the explorer know of their surroundings besides the graph's own state.

import type { Parts } from "../host.ts";
import type { Session } from "../session.ts";

/** The surroundings of one explorer. */
export interface Context {
  /** The session around it; null where only graphs were sent: then guards and links to other tables are left out. */
  readonly session: Session | null;
  readonly parts: Parts;
  /** Aborted when the view goes. */
  readonly signal: AbortSignal;
}
