import { OBSERVATION_RULES } from '../../domain/observation-rules.ts';
import { RECORD_RULES } from '../peers/record-rules.ts';
import { ANNOUNCEMENT_RULES } from './announcement-rules.ts';
import { ROUTER_RULES } from './router/router-rules.ts';
import type { VerdictTable } from './verdict-rule.ts';

/**
 * Every verdict that a gossip message can get, by where it is given: the router before any topic, then the topics'
 * validators. The codes are the label `code` of `fogproof_network_gossip_verdicts_total`; docs/protocols.md is generated
 * from this table.
 */
export const GOSSIP_VERDICTS = {
  router: ROUTER_RULES,
  records: RECORD_RULES,
  jobs: ANNOUNCEMENT_RULES,
  observations: OBSERVATION_RULES,
} as const satisfies Readonly<Record<string, VerdictTable>>;
