import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantiateInstrumented } from '../../support/instrumented.ts';

/** Random programs over four i32 locals, with an interpreter that counts instructions by itself. */
type Expression =
  | { readonly kind: 'const'; readonly value: number }
  | { readonly kind: 'local'; readonly local: number }
  | { readonly kind: 'op'; readonly op: 'add' | 'sub' | 'mul' | 'xor'; readonly a: Expression; readonly b: Expression }
  | { readonly kind: 'call'; readonly operand: Expression };
type Statement =
  | { readonly kind: 'set'; readonly local: number; readonly value: Expression }
  | { readonly kind: 'if'; readonly condition: Expression; readonly then: Statement[]; readonly otherwise: Statement[] }
  | { readonly kind: 'skip'; readonly condition: Expression; readonly body: Statement[] }
  | { readonly kind: 'loop'; readonly times: number; readonly body: Statement[] }
  | { readonly kind: 'return'; readonly condition: Expression; readonly value: Expression };

const LOCALS = 4;
const expression: fc.Arbitrary<Expression> = fc.letrec<{ node: Expression }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constant('const' as const), value: fc.integer() }),
    fc.record({ kind: fc.constant('local' as const), local: fc.nat(LOCALS - 1) }),
    fc.record({
      kind: fc.constant('op' as const),
      op: fc.constantFrom('add' as const, 'sub' as const, 'mul' as const, 'xor' as const),
      a: tie('node'),
      b: tie('node'),
    }),
    fc.record({ kind: fc.constant('call' as const), operand: tie('node') }),
  ),
})).node;
const statements: fc.Arbitrary<Statement[]> = fc.letrec<{ block: Statement[]; node: Statement }>((tie) => ({
  block: fc.array(tie('node'), { maxLength: 4 }),
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constant('set' as const), local: fc.nat(LOCALS - 1), value: expression }),
    fc.record({ kind: fc.constant('return' as const), condition: expression, value: expression }),
    fc.record({ kind: fc.constant('if' as const), condition: expression, then: tie('block'), otherwise: tie('block') }),
    fc.record({ kind: fc.constant('skip' as const), condition: expression, body: tie('block') }),
    fc.record({ kind: fc.constant('loop' as const), times: fc.integer({ min: 1, max: 3 }), body: tie('block') }),
  ),
})).block;

let loops = 0;
function printExpression(node: Expression): string {
  switch (node.kind) {
    case 'const':
      return `i32.const ${node.value}`;
    case 'local':
      return `local.get ${node.local}`;
    case 'op':
      return `${printExpression(node.a)} ${printExpression(node.b)} i32.${node.op}`;
    default:
      return `${printExpression(node.operand)} call $twice`;
  }
}

/** Loop counters are locals of their own, behind the four. */
function printStatement(node: Statement): string {
  const block = (nodes: readonly Statement[]): string => nodes.map(printStatement).join(' ');
  switch (node.kind) {
    case 'set':
      return `${printExpression(node.value)} local.set ${node.local}`;
    case 'if':
      return `${printExpression(node.condition)} if ${block(node.then)} else ${block(node.otherwise)} end`;
    case 'skip':
      return `block ${printExpression(node.condition)} br_if 0 ${block(node.body)} end`;
    case 'return':
      return `${printExpression(node.condition)} if ${printExpression(node.value)} return end`;
    default: {
      const counter = LOCALS + loops++;
      return `i32.const ${node.times} local.set ${counter} loop ${block(node.body)}
        local.get ${counter} i32.const 1 i32.sub local.tee ${counter} br_if 0 end`;
    }
  }
}

class Returned {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

class Interpreter {
  fuel = 0;
  readonly locals = new Array<number>(LOCALS).fill(0);

  evaluate(node: Expression): number {
    this.fuel++;
    if (node.kind === 'const') return node.value | 0;
    if (node.kind === 'local') return this.locals[node.local] ?? 0;
    if (node.kind === 'call') {
      this.fuel += 3;
      return (this.evaluate(node.operand) * 2) | 0;
    }
    const a = this.evaluate(node.a);
    const b = this.evaluate(node.b);
    if (node.op === 'add') return (a + b) | 0;
    if (node.op === 'sub') return (a - b) | 0;
    return node.op === 'mul' ? Math.imul(a, b) : a ^ b;
  }

  run(nodes: readonly Statement[]): void {
    for (const node of nodes) this.step(node);
  }

  private step(node: Statement): void {
    if (node.kind === 'set') {
      this.locals[node.local] = this.evaluate(node.value);
      this.fuel++;
    } else if (node.kind === 'loop') {
      this.fuel += 2;
      for (let pass = 0; pass < node.times; pass++) {
        this.run(node.body);
        this.fuel += 5;
      }
    } else {
      const condition = this.evaluate(node.condition);
      this.fuel++;
      if (node.kind === 'if') this.run(condition === 0 ? node.otherwise : node.then);
      else if (node.kind === 'skip' && condition === 0) this.run(node.body);
      else if (node.kind === 'return' && condition !== 0) {
        const value = this.evaluate(node.value);
        this.fuel++;
        throw new Returned(value);
      }
    }
  }
}

function interpret(nodes: readonly Statement[]): { result: number; fuel: number } {
  const interpreter = new Interpreter();
  try {
    interpreter.run(nodes);
  } catch (error) {
    if (error instanceof Returned) return { result: error.value, fuel: interpreter.fuel };
    throw error;
  }
  interpreter.fuel++;
  return { result: interpreter.locals[0] ?? 0, fuel: interpreter.fuel };
}

describe('instrumented programs', () => {
  it('compute what the original computes, for exactly the fuel of the instructions that ran', () => {
    fc.assert(
      fc.property(statements, (nodes) => {
        loops = 0;
        const code = nodes.map(printStatement).join('\n');
        const wat = `(module (func $twice (param i32) (result i32) local.get 0 i32.const 2 i32.mul)
          (func (export "f") (result i32) (local ${'i32 '.repeat(LOCALS + loops)}) ${code} local.get 0))`;
        const expected = interpret(nodes);
        const instance = instantiateInstrumented(wat);
        expect(instance.call('f')).toBe(expected.result);
        expect(Number(1_000_000n - instance.fuelLeft())).toBe(expected.fuel);
      }),
      { numRuns: 400 },
    );
  });
});
