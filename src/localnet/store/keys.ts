/** Keys of a chain's store. Numbers are padded so that keys sort as they do. */
const DIGITS = 12;

function pad(value: number): string {
  return String(value).padStart(DIGITS, '0');
}

function unpad(text: string | undefined): number {
  return Number(text ?? Number.NaN);
}

export const GENESIS_KEY = 'meta/genesis';
/** Transactions forgotten so far, and the first slot whose block is whole. */
export const PRUNED_KEY = 'meta/pruned';

export const ACCOUNT_RANGE = { gte: 'account/', lt: 'account0' } as const;
export const BLOCK_RANGE = { gte: 'block/', lt: 'block0' } as const;
export const PLACE_RANGE = { gte: 'place/', lt: 'place0' } as const;

export function accountKey(address: string): string {
  return `account/${address}`;
}

export function blockKey(slot: number): string {
  return `block/${pad(slot)}`;
}

export function transactionKey(signature: string): string {
  return `transaction/${signature}`;
}

/** The signature at a place of a block. */
export function placeKey(slot: number, index: number): string {
  return `place/${pad(slot)}/${pad(index)}`;
}

/** The signature at a place, for one address that its transaction names. */
export function mentionKey(address: string, slot: number, index: number): string {
  return `mention/${address}/${pad(slot)}/${pad(index)}`;
}

export function mentionRange(address: string): { readonly gte: string; readonly lt: string } {
  return { gte: `mention/${address}/`, lt: `mention/${address}0` };
}

export function placeRange(slot: number): { readonly gte: string; readonly lt: string } {
  return { gte: `place/${pad(slot)}/`, lt: `place/${pad(slot)}0` };
}

export function readPlaceKey(key: string): { readonly slot: number; readonly index: number } {
  const [, slot, index] = key.split('/');
  return { slot: unpad(slot), index: unpad(index) };
}
