import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { replace } from '../../src/hook/replace';

const passOn = (original: (...args: never[]) => unknown) =>
  function (this: unknown, ...args: never[]): unknown {
    return Reflect.apply(original, this, args);
  };

describe('replace', () => {
  it('WR1: keeps name, length, own keys, symbols and promisify', async () => {
    const symbol = Symbol('s');
    const original = Object.assign(function named(_a: number, _b: number) {}, { [symbol]: 1, own: {} });
    Object.defineProperty(original, 'hidden', { value: 2 });
    Object.defineProperty(original, promisify.custom, { value: async () => 'custom' });
    const owner = { named: original };
    expect(replace(owner, 'named', passOn)).toBe(true);
    expect(owner.named).not.toBe(original);
    expect([owner.named.name, owner.named.length]).toEqual(['named', 2]);
    expect(new Set(Reflect.ownKeys(owner.named))).toEqual(new Set([...Reflect.ownKeys(original), 'prototype']));
    expect(Object.keys(owner.named)).toEqual(Object.keys(original));
    expect(owner.named.prototype).toBe(original.prototype);
    expect(await promisify(owner.named as never)()).toBe('custom');
  });

  it('follows what an inherited method becomes later', () => {
    class Base {
      say(): string {
        return 'base';
      }
    }
    class Owner extends Base {}
    expect(replace(Owner.prototype, 'say', (original) => passOn(original))).toBe(true);
    expect(new Owner().say()).toBe('base');
    Base.prototype.say = () => 'replaced';
    expect([new Owner().say(), new Base().say()]).toEqual(['replaced', 'replaced']);
  });

  it('stands for a method as a method: no prototype, no construction', () => {
    class Owner {
      add(a: number, b: number): number {
        return a + b;
      }
    }
    const { add } = Owner.prototype;
    const arrow = { twice: (a: number): number => a * 2 };
    expect(replace(Owner.prototype, 'add', passOn)).toBe(true);
    expect(replace(arrow, 'twice', passOn)).toBe(true);
    for (const fn of [Owner.prototype.add, arrow.twice] as unknown[]) {
      expect(Reflect.ownKeys(fn as object).sort()).toEqual(Reflect.ownKeys(add).sort());
      expect(() => new (fn as new () => unknown)()).toThrow(TypeError);
    }
    expect([new Owner().add(1, 2), arrow.twice(2)]).toEqual([3, 4]);
  });

  it('WR3: leaves missing, read-only, accessor and frozen members alone', () => {
    const fn = () => 1;
    const fixed = Object.defineProperty({}, 'fn', { value: fn, writable: true });
    const accessor = Object.defineProperty({}, 'fn', { get: () => fn, configurable: true });
    for (const owner of [
      {},
      { fn: 1 },
      fixed,
      accessor,
      Object.freeze({ fn }),
      Object.preventExtensions(Object.create({ fn })),
    ]) {
      expect(replace(owner as never, 'fn', passOn)).toBe(false);
    }
    expect((fixed as { fn: unknown }).fn).toBe(fn);
  });

  it('replaces an inherited method on the owner only', () => {
    class Base {
      method() {
        return 'base';
      }
    }
    class Sub extends Base {}
    const { method } = Base.prototype;
    expect(replace(Sub.prototype, 'method', passOn)).toBe(true);
    expect(Base.prototype.method).toBe(method);
    expect(new Sub().method()).toBe('base');
    expect(Object.keys(Sub.prototype)).toEqual([]);
  });

  it("WR8: another tool's marks stay readable, and our own leave none", () => {
    const owner = {
      plain: () => 1,
      wrapped: Object.assign(() => 2, { __original: 'theirs', __unwrap: () => {}, __wrapped: true }),
    };
    const unwrap = owner.wrapped.__unwrap;
    replace(owner, 'plain', passOn);
    replace(owner, 'wrapped', passOn);
    expect(Object.keys(owner.plain)).toEqual([]);
    expect({ ...owner.wrapped }).toEqual({ __original: 'theirs', __unwrap: unwrap, __wrapped: true });
  });
});
