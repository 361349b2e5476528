import { FETCH_AHEAD } from '../constants.ts';

type Outcome<T> = { readonly kind: 'value'; readonly value: T } | { readonly kind: 'error'; readonly error: unknown };

/** Results in the order of the items, a few of which are fetched at once. Throws the first error in that order. */
export async function* fetchAhead<Item, Result>(
  items: readonly Item[],
  fetch: (item: Item) => Promise<Result>,
): AsyncGenerator<readonly [item: Item, result: Result], void, undefined> {
  const running: { readonly item: Item; readonly outcome: Promise<Outcome<Result>> }[] = [];
  // A rejection is kept until its turn comes: nobody waits for it before.
  const settle = (result: Promise<Result>): Promise<Outcome<Result>> =>
    result.then(
      (value) => ({ kind: 'value', value }),
      (error: unknown) => ({ kind: 'error', error }),
    );
  for (const item of items) {
    running.push({ item, outcome: settle(fetch(item)) });
    if (running.length >= FETCH_AHEAD) yield await take(running);
  }
  while (running.length > 0) yield await take(running);
}

async function take<Item, Result>(
  running: { readonly item: Item; readonly outcome: Promise<Outcome<Result>> }[],
): Promise<readonly [Item, Result]> {
  const [next] = running.splice(0, 1);
  if (next === undefined) throw new RangeError('nothing is running');
  const outcome = await next.outcome;
  if (outcome.kind === 'error') throw outcome.error;
  return [next.item, outcome.value];
}
