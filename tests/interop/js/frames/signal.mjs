// Waiting for something to become true: those who change it say so, those who wait look again.

const LIMIT_MS = 15_000;

/** What a script waited for did not happen. */
export class Stuck extends Error {}

export class Signal {
  #waiting = new Set();
  #broken;

  /** Something changed. */
  notify() {
    this.#waiting.forEach((look) => look());
  }

  /** Nothing will change any more: whoever waits, now or later, fails with `reason`. */
  break(reason) {
    this.#broken ??= new Stuck(reason);
    this.notify();
  }

  /** The first value of `probe` that is not `undefined`. */
  until(probe, what, limit = LIMIT_MS) {
    return new Promise((resolve, reject) => {
      const settle = (settled, value) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        settled(value);
      };
      const look = () => {
        const value = probe();
        if (value !== undefined) {
          settle(resolve, value);
        } else if (this.#broken !== undefined) {
          settle(reject, this.#broken);
        }
      };
      const timer = setTimeout(() => settle(reject, new Stuck(`no ${what}`)), limit);
      this.#waiting.add(look);
      look();
    });
  }
}
