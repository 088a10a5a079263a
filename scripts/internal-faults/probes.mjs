// An esbuild plugin that lets every function of ours fail on demand: where it takes its first step, it calls
// `__hooklineFault` with what it is called and where it stands, `src/hook/guard.ts:36 Guard.run`. The normal build knows
// nothing of this.
//
// A step is anything that could throw by itself. Naming and reading values is none, nor is calling a function of ours, which
// has a probe of its own, or handing the call on to the original with `Reflect.apply`. Where the first step stands in a `try`,
// so does the probe. So a function whose own steps are all in a `try` is expected to survive, and any other to fail whoever
// called it.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { parse } from 'acorn';
import { transform } from 'esbuild';

/** Run by Node, or on a thread of their own, before anything of the agent is there. */
const ELSEWHERE = /^src\/(register|lazy\/(append-hit|last-send|credentials|ritm|semver)|index)\.m?ts$/;

export function probes(root) {
  return {
    name: 'probes',
    setup(bundler) {
      bundler.onLoad({ filter: /\.m?ts$/ }, async ({ path }) => {
        const file = relative(root, path).replaceAll('\\', '/');
        if (ELSEWHERE.test(file)) return undefined;
        const options = { loader: 'ts', target: 'esnext', sourcemap: 'external', sourcefile: file };
        const { code, map } = await transform(readFileSync(path, 'utf8'), options);
        return { contents: withProbes(code, file, lineFinder(map)), loader: 'js' };
      });
    },
  };
}

/** @param lineOf line in the source of a line and column in `code`, both of which count from one and zero */
export function withProbes(code, file, lineOf) {
  const program = parse(code, { ecmaVersion: 'latest', sourceType: 'module', locations: true });
  const own = ownNames(program);
  const insertions = [];
  const visit = (node, names, key) => {
    if (isFunction(node)) {
      const name = [...names, ...nameOf(node, key)].join('.') || 'anonymous';
      const id = `${file}:${lineOf(node.loc.start)} ${name}`;
      probeFunction(node, id, code, own, insertions);
    }
    const inner = [...names, ...scopeName(node, key)];
    for (const [childKey, child] of childrenOf(node)) visit(child, inner, ownKey(node, child, childKey));
  };
  visit(program, [], undefined);
  insertions.sort((left, right) => left.at - right.at || left.order - right.order);
  let result = '';
  let from = 0;
  for (const { at, text } of insertions) {
    result += code.slice(from, at) + text;
    from = at;
  }
  return result + code.slice(from);
}

function probeFunction(node, id, code, names, insertions) {
  // In a method, `this` is an object of ours.
  const own = { has: (name) => names.has(name) || (node.isMethod && /^this\.\w+$/.test(name)) };
  // So that whoever arms faults can get hold of the guards.
  const self = node.isMethod ? ', this' : '';
  const probe = `globalThis.__hooklineFault?.(${JSON.stringify(id)}${self});`;
  const insert = (at, text) => insertions.push({ at, text, order: insertions.length });
  if (node.body.type !== 'BlockStatement') {
    if (isNoStep({ type: 'ReturnStatement', argument: node.body }, own)) return;
    // With the parentheses that may stand around it.
    insert(code.lastIndexOf('=>', node.body.start) + 2, `{${probe}return (`);
    insert(node.end, ')}');
    return;
  }
  place(node.body.body, own, (at) => insert(at, probe));
}

/** Names that the file declares or takes from other files of ours: what they call is ours, or was handed in. */
function ownNames(program) {
  const own = new Set();
  const foreign = new Set();
  const declare = (pattern, names = own) => {
    if (pattern === null) return;
    switch (pattern.type) {
      case 'Identifier':
        names.add(pattern.name);
        break;
      case 'ObjectPattern':
        for (const item of pattern.properties) declare(item.argument ?? item.value, names);
        break;
      case 'ArrayPattern':
        for (const item of pattern.elements) declare(item, names);
        break;
      default:
        declare(pattern.left ?? pattern.argument, names);
    }
  };
  const visit = (node) => {
    if (node.type === 'ImportDeclaration') {
      const names = node.source.value.startsWith('.') ? own : foreign;
      for (const { local } of node.specifiers) names.add(local.name);
    }
    if (isFunction(node)) {
      if (node.id) own.add(node.id.name);
      for (const parameter of node.params) declare(parameter);
    }
    // What is taken out of a global or a module of Node's stays theirs.
    if (node.type === 'VariableDeclarator') declare(node.id, node.init?.type === 'Identifier' ? foreign : own);
    for (const [, child] of childrenOf(node)) visit(child);
  };
  visit(program);
  for (const name of foreign) own.delete(name);
  return own;
}

/** Puts the probe before the first step of each path; returns how that ends: with a `step`, at the `end`, or going on. */
function place(statements, own, insert) {
  for (const statement of statements) {
    switch (statement.type) {
      case 'TryStatement': {
        const { block, handler, finalizer } = statement;
        const ending = place(block.body, own, insert);
        if (ending === 'step') return 'step';
        if (handler) place(handler.body.body, own, insert);
        const last = finalizer ? place(finalizer.body, own, insert) : undefined;
        if (last !== undefined) return last;
        if (ending === 'end') return 'end';
        continue;
      }
      case 'IfStatement': {
        const { test, consequent, alternate } = statement;
        if (isNoStep(statement, own)) continue;
        if (!isHarmless(test, own)) {
          insert(statement.start);
          return 'step';
        }
        const endings = [consequent, alternate].map((branch) => {
          if (branch?.type === 'BlockStatement') return place(branch.body, own, insert);
          if (branch?.type === 'IfStatement') return place([branch], own, insert);
          if (!branch || isNoStep(branch, own)) return undefined;
          // Without braces there is no room for a probe.
          insert(statement.start);
          return 'step';
        });
        if (endings.every((ending) => ending === 'step')) return 'step';
        continue;
      }
      case 'ReturnStatement':
      case 'ThrowStatement':
        if (isNoStep(statement, own)) return 'end';
        insert(statement.start);
        return 'step';
      default:
        if (isNoStep(statement, own)) continue;
        insert(statement.start);
        return 'step';
    }
  }
  return undefined;
}

function isNoStep(statement, own) {
  const isQuiet = (node) => !node || isHarmless(node, own);
  switch (statement?.type) {
    case undefined:
    case 'EmptyStatement':
    case 'FunctionDeclaration':
    case 'BreakStatement':
      return true;
    case 'VariableDeclaration':
      return statement.declarations.every(({ id, init }) => isPlain(id) && isQuiet(init));
    case 'ExpressionStatement':
      return isQuiet(statement.expression);
    case 'ReturnStatement':
      return isQuiet(statement.argument);
    case 'ThrowStatement':
      return statement.argument.type === 'Identifier';
    case 'BlockStatement':
      return statement.body.every((item) => isNoStep(item, own));
    case 'SwitchStatement':
      return (
        isQuiet(statement.discriminant) &&
        statement.cases.every(
          ({ test, consequent }) => isQuiet(test) && consequent.every((item) => isNoStep(item, own)),
        )
      );
    case 'IfStatement':
      return (
        isQuiet(statement.test) &&
        isNoStep(statement.consequent, own) &&
        isNoStep(statement.alternate ?? undefined, own)
      );
    default:
      return false;
  }
}

/** A name, or several for what is taken out of one value as it is. */
function isPlain(pattern) {
  if (pattern === null || pattern.type === 'Identifier') return true;
  if (pattern.type === 'ArrayPattern') return pattern.elements.every(isPlain);
  return pattern.type === 'ObjectPattern' && pattern.properties.every(({ value }) => value?.type === 'Identifier');
}

/** Nothing of it throws by itself: names, literals, comparisons, fields, and calls that are no steps. */
function isHarmless(node, own) {
  const areHarmless = (...nodes) => nodes.every((item) => isHarmless(item, own));
  switch (node?.type) {
    case 'Identifier':
    case 'Literal':
    case 'ThisExpression':
    case 'FunctionExpression':
    case 'ArrowFunctionExpression':
    case 'MetaProperty':
      return true;
    case 'UnaryExpression':
      return node.operator !== 'delete' && areHarmless(node.argument);
    case 'BinaryExpression':
      return ['===', '!=='].includes(node.operator) && areHarmless(node.left, node.right);
    case 'LogicalExpression':
      return areHarmless(node.left, node.right);
    case 'ConditionalExpression':
      return areHarmless(node.test, node.consequent, node.alternate);
    case 'ArrayExpression':
      return areHarmless(...node.elements);
    case 'ObjectExpression':
      return node.properties.every((item) => item.type === 'Property' && !item.computed && areHarmless(item.value));
    case 'MemberExpression':
      return areHarmless(node.object) && (!node.computed || areHarmless(node.property));
    case 'ChainExpression':
      return areHarmless(node.expression);
    case 'AssignmentExpression':
      return node.operator === '=' && areHarmless(node.left, node.right);
    case 'CallExpression':
      return isQuietCall(dotted(node.callee), own) && areHarmless(...node.arguments);
    default:
      return false;
  }
}

/** Of what Node has, and of ours by the name of an object or a private field. */
const QUIET_CALL =
  /^(Reflect\.(apply|construct)|storage\.run|Object\.getPrototypeOf|tracing\.\w+|begun\.end|\w+\.slice|.+\.#\w+(\.\w+)?)$/;

function isQuietCall(name, own) {
  return own.has(name) || QUIET_CALL.test(name);
}

function dotted(node) {
  if (node.type === 'Identifier') return node.name;
  if (node.type === 'ThisExpression') return 'this';
  if (node.type !== 'MemberExpression' || node.computed) return '';
  const name = node.property.type === 'PrivateIdentifier' ? `#${node.property.name}` : node.property.name;
  return `${dotted(node.object)}.${name}`;
}

// Names.

function isFunction(node) {
  return (
    node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression' || node.type === 'ArrowFunctionExpression'
  );
}

/** What a function is called besides the scopes around it. */
function nameOf(node, key) {
  if (key !== undefined) return [key];
  return node.id ? [node.id.name] : [];
}

function scopeName(node, key) {
  if (isFunction(node)) return nameOf(node, key);
  if (node.type === 'ClassDeclaration' || node.type === 'ClassExpression') return node.id ? [node.id.name] : [];
  return [];
}

/** The name that the place of a child gives it. */
function ownKey(parent, child, childKey) {
  if (parent.type === 'MethodDefinition' && childKey === 'value') {
    const { key, kind } = parent;
    const name = key.type === 'PrivateIdentifier' ? `#${key.name}` : (key.name ?? String(key.value ?? 'computed'));
    return kind === 'get' || kind === 'set' ? `${kind} ${name}` : name;
  }
  if ((parent.type === 'Property' || parent.type === 'PropertyDefinition') && childKey === 'value') {
    return isFunction(child) ? (parent.key.name ?? String(parent.key.value ?? 'computed')) : undefined;
  }
  if (parent.type === 'VariableDeclarator' && childKey === 'init' && isFunction(child)) return parent.id.name;
  return undefined;
}

function* childrenOf(node) {
  if (node.type === 'MethodDefinition') node.value.isMethod = node.kind === 'method';
  for (const key of Object.keys(node)) {
    const value = node[key];
    for (const child of Array.isArray(value) ? value : [value]) if (typeof child?.type === 'string') yield [key, child];
  }
}

// Lines.

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Reads a source map of one source (source map revision 3): positions of the code to lines of the source. */
function lineFinder(map) {
  let sourceLine = 0;
  const lines = JSON.parse(map)
    .mappings.split(';')
    .map((line) => {
      let column = 0;
      return line.split(',').flatMap((segment) => {
        const values = decode(segment);
        column += values[0] ?? 0;
        sourceLine += values[2] ?? 0;
        return values.length < 4 ? [] : [{ column, line: sourceLine + 1 }];
      });
    });
  return ({ line, column }) => {
    const segments = lines[line - 1] ?? [];
    return (segments.findLast((segment) => segment.column <= column) ?? segments[0])?.line ?? line;
  };
}

/** Base64 numbers of variable length, with the sign in the lowest bit. */
function decode(segment) {
  const values = [];
  let value = 0;
  let shift = 0;
  for (const character of segment) {
    const digit = BASE64.indexOf(character);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    values.push(value & 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return values;
}
