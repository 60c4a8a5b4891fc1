// Where a reader has been: links and tabs lead on, Back and Forward retrace.

const MOST = 200;

/** The places before and after the one that is shown. */
export class Trail<Place> {
  private before: Place[] = [];
  private after: Place[] = [];

  /** Leaves a place for a new one: what was ahead is forgotten. */
  leave(place: Place): void {
    this.before.push(place);
    if (this.before.length > MOST) this.before.shift();
    this.after = [];
  }

  /** The place before `here`, null where there is none. */
  back(here: Place): Place | null {
    return retrace(this.before, this.after, here);
  }

  /** The place that `back` came from, null where there is none. */
  forward(here: Place): Place | null {
    return retrace(this.after, this.before, here);
  }

  get hasBefore(): boolean {
    return this.before.length > 0;
  }

  get hasAfter(): boolean {
    return this.after.length > 0;
  }
}

function retrace<Place>(from: Place[], to: Place[], here: Place): Place | null {
  const found = from.pop();
  if (found === undefined) return null;
  to.push(here);
  return found;
}
