/** Hands back the object it is given, so that a subclass can add its private field to it. */
export class Foreign {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: returning another object is the point
    return object;
  }
}

/** A value of ours on an object of the application or of Node, seen by nobody else. */
export interface Stamp<Value> {
  get(object: object): Value | undefined;
  set(object: object, value: Value | undefined): void;
  /** `set` for objects that have hardly ever been stamped before: asking first whether they were costs as much again. */
  mark(object: object, value: Value): void;
}

/**
 * Makes a stamp. It is a private field added to the object from outside: no key, no symbol, nothing that inspection,
 * spreading or enumeration shows, and nothing that the collector has to look after, as it does after a WeakMap's keys.
 *
 * All stamps that this makes are the same code to the engine, which then knows the field of none: setting costs 60 ns,
 * reading 17. Those that every call needs are written out as a class where they are used: 12 and 3.
 */
export function createStamp<Value>(): Stamp<Value> {
  class Stamped extends Foreign {
    #value: Value | undefined;

    constructor(object: object, value: Value | undefined) {
      super(object);
      this.#value = value;
    }

    static get(object: object): Value | undefined {
      return #value in object ? (object as Stamped).#value : undefined;
    }

    static set(object: object, value: Value | undefined): void {
      if (#value in object) (object as Stamped).#value = value;
      else new Stamped(object, value);
    }

    static mark(object: object, value: Value): void {
      try {
        new Stamped(object, value);
      } catch {
        // A private field cannot be added twice.
        Stamped.set(object, value);
      }
    }
  }
  return Stamped;
}
