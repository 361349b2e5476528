import type { RequesterMetrics } from '../../metrics.ts';
import { OfferRouter } from '../../offer-router.ts';
import type { JobRequesterModules } from '../requester-modules.ts';
import { Announcer } from './announcer.ts';

/** Undefined where there is nothing to announce on. */
export function createAnnouncer(
  { identity, network, offerRouter, clock, random }: JobRequesterModules,
  { networkId, metrics }: { readonly networkId: string; readonly metrics: RequesterMetrics },
): Announcer | undefined {
  const { announcements, transport } = network;
  if (announcements === undefined) return undefined;
  const router = offerRouter ?? new OfferRouter(transport);
  return new Announcer({ announcements, router, signer: identity, clock, random, metrics }, { networkId });
}
