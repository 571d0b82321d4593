/**
 * Filters of subscriptions: conditions on the delivered `data`, all of which must hold (protocol section 4). Pure.
 * Equal filters share a lane, so each is evaluated once per publication, however many subscribers have it.
 */
import { priorities } from '#proto/data.ts';
import { filterConditionsMax, filterValuesMax } from '#proto/limits.ts';

export type Filter = (data: object) => boolean;
type Test = (value: unknown) => boolean;

/** The filter, or the sentence that says which condition is wrong. */
export function compileFilter(conditions: Record<string, unknown>): Filter | string {
  if (conditions instanceof Uint8Array) return 'a filter is an object, not bytes';
  const entries = Object.entries(conditions);
  if (entries.length > filterConditionsMax) return `a filter has at most ${filterConditionsMax} conditions`;
  const tests: [path: string[], test: Test][] = [];
  for (const [field, condition] of entries) {
    const test = compileCondition(field, condition);
    if (typeof test === 'string') return test;
    tests.push([field.split('.'), test]);
  }
  return (data) => tests.every(([path, test]) => test(valueAt(data, path)));
}

/** The same text for the same conditions in any order: the name of the lane, which travels with each delivery. '' for none. */
export function canonicalFilter(conditions: Record<string, unknown> | undefined): string {
  if (conditions === undefined || Object.keys(conditions).length === 0) return '';
  return JSON.stringify(sortKeys(conditions));
}

function compileCondition(field: string, condition: unknown): Test | string {
  if (isScalar(condition)) return (value) => value === condition;
  if (typeof condition !== 'object' || condition === null || Array.isArray(condition)) {
    return `filter condition "${field}" must be a value or an object of operators`;
  }
  const tests: Test[] = [];
  for (const [operator, operand] of Object.entries(condition)) {
    const test = compileOperator(field, operator, operand);
    if (typeof test === 'string') return `filter condition "${field}": ${test}`;
    tests.push(test);
  }
  return (value) => tests.every((test) => test(value));
}

function compileOperator(field: string, operator: string, operand: unknown): Test | string {
  switch (operator) {
    case 'eq':
    case 'ne':
      if (!isScalar(operand)) return `${operator} takes a string, number, boolean or null`;
      return operator === 'eq' ? (value) => value === operand : (value) => value !== operand;
    case 'in':
    case 'nin': {
      if (!Array.isArray(operand) || operand.length > filterValuesMax || !operand.every(isScalar)) {
        return `${operator} takes a list of at most ${filterValuesMax} values`;
      }
      const values = new Set<unknown>(operand);
      return operator === 'in' ? (value) => values.has(value) : (value) => !values.has(value);
    }
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      if (typeof operand !== 'string' && typeof operand !== 'number')
        return `${operator} takes a string or a number`;
      return (value) => compares(field, operator, value, operand);
    case 'exists':
      if (typeof operand !== 'boolean') return 'exists takes true or false';
      return (value) => (value !== undefined) === operand;
    case 'prefix':
      if (typeof operand !== 'string') return 'prefix takes a string';
      return (value) => typeof value === 'string' && value.startsWith(operand);
    default:
      return `"${operator}" is no operator; there are eq, ne, in, nin, gt, gte, lt, lte, exists, prefix`;
  }
}

/** Values of different types never compare. Priorities compare by urgency, not by letter. */
function compares(
  field: string,
  operator: 'gt' | 'gte' | 'lt' | 'lte',
  value: unknown,
  operand: string | number,
): boolean {
  const left = field === 'priority' ? rankOf(value) : value;
  const right = field === 'priority' ? rankOf(operand) : operand;
  if (typeof left !== typeof right || (typeof left !== 'string' && typeof left !== 'number')) return false;
  const order = left < (right as typeof left) ? -1 : left === right ? 0 : 1;
  return { gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[operator];
}

function rankOf(priority: unknown): number | undefined {
  const rank = (priorities as readonly unknown[]).indexOf(priority);
  return rank < 0 ? undefined : rank;
}

function valueAt(data: unknown, path: string[]): unknown {
  let value = data;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function isScalar(value: unknown): value is string | number | boolean | null {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortKeys((value as Record<string, unknown>)[key])]),
  );
}
