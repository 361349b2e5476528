import { describe, expect, it } from 'vitest';
import type { Job } from '../../../../../src/domain/job.ts';
import { type JobTerms, OFFER } from '../../../../../src/domain/offer.ts';
import { openSigned } from '../../../../../src/proofs/signed-object.ts';
import { ConfidentialRequester, startConfidential } from '../../../../support/confidential-work.ts';
import { MODULE, ProviderRig, SIMULATED_ONLY, subjectOf, termsOf } from '../../../../support/provider-rig.ts';
import { TestTee } from '../../../../support/simulated-tee.ts';

type Asked = NonNullable<JobTerms['confidential']>;

/** What a provider answers to terms that ask for evidence. */
async function ask(rig: ProviderRig, asked: Asked, change: Partial<Job> = {}) {
  const requester = await rig.requester();
  const [job] = await requester.signJobs(requester.describeJob(change));
  if (job === undefined) throw new TypeError();
  const terms = { ...termsOf(job.value), confidential: asked };
  const answer = await requester.requestOffer({ subject: await subjectOf(job), terms });
  if (answer.kind === 'refused') return answer.refusal;
  if (answer.kind !== 'offer') throw new TypeError(answer.kind);
  return (await openSigned(OFFER, answer.offer, rig.identity.peer)).value;
}

describe('an offer on confidential work', () => {
  it('names the environment of which evidence will be shown; one on other work names none', async () => {
    const { rig } = await startConfidential();
    expect(await ask(rig, { kinds: ['tdx', 'simulated'], gpus: false })).toMatchObject({ evidence: 'simulated' });
    const requester = await rig.requester();
    const offer = await requester.takeOffer(await requester.signJobs(requester.describeJob()));
    expect(offer.value.evidence).toBeUndefined();
  });

  it('is refused by who runs in no environment, and by who runs in another', async () => {
    const plain = await ProviderRig.start();
    expect(await ask(plain, SIMULATED_ONLY)).toEqual({
      code: 'NO_EVIDENCE',
      detail: 'simulated asked for, it runs in none',
    });
    const { rig } = await startConfidential();
    expect(await ask(rig, { kinds: ['tdx', 'sev-snp'], gpus: false })).toEqual({
      code: 'NO_EVIDENCE',
      detail: 'tdx, sev-snp asked for, it runs in simulated',
    });
    expect(rig.metrics.sums.get('fogproof_provider_refusals_total NO_EVIDENCE')).toBe(1);
    const { conditions, refusals } = await rig.provider.explainNoWork();
    expect(refusals).toMatchObject([{ code: 'NO_EVIDENCE', count: 1 }]);
    expect(conditions.find(({ name }) => name === 'confidential')).toMatchObject({
      isMet: true,
      detail: 'it shows evidence of simulated (SIMULATED, no hardware), and of no GPUs',
    });
  });

  it('is refused where evidence of GPUs is asked for that it cannot show', async () => {
    const { rig, tee } = await startConfidential();
    expect(await ask(rig, { ...SIMULATED_ONLY, gpus: true })).toMatchObject({ code: 'NO_EVIDENCE' });
    tee.hasGpus = true;
    expect(await ask(rig, { ...SIMULATED_ONLY, gpus: true })).toMatchObject({ evidence: 'simulated' });
  });

  it('costs what the class `tee` costs, and no less than what it runs on', async () => {
    const prices = (tee: string) => [
      { capabilityClass: 'cpu' as const, price: '3600' },
      { capabilityClass: 'tee' as const, price: tee },
    ];
    const dear = await startConfidential({ provider: { pricesPerHour: prices('7200') } });
    expect(await ask(dear.rig, SIMULATED_ONLY, { priceCeiling: '200' })).toMatchObject({ price: '120' });
    const cheap = await startConfidential({ provider: { pricesPerHour: prices('0') } });
    expect(await ask(cheap.rig, SIMULATED_ONLY, { priceCeiling: '200' })).toMatchObject({ price: '60' });
  });
});

describe('a lease for a confidential job', () => {
  async function refusalOf(change: (side: ConfidentialRequester) => Promise<Partial<Job>>, terms?: Partial<JobTerms>) {
    const { side } = await startConfidential();
    const { requester } = side;
    const job = await side.sealJob([{ path: '/in', bytes: MODULE }], await change(side));
    const subject = await subjectOf(job.signed);
    const asked = await requester.requestOffer({ subject, terms: { ...termsOf(job.signed.value), ...terms } });
    if (asked.kind !== 'offer') throw new TypeError(JSON.stringify(asked));
    const offer = await openSigned(OFFER, asked.offer);
    const leases = await requester.signLeases([job.signed], offer);
    const answers = requester.lease({ jobs: [job.signed], offer, leases });
    await answers.until(() => answers.responses.length > 0);
    const [first] = answers.responses;
    return first?.kind === 'refused' ? first.refusal.detail : first?.kind;
  }

  it('is refused where its terms did not say so, or said so of a job that is not', async () => {
    const rule = 'the job and its terms differ on whether it is confidential';
    expect(await refusalOf(async () => ({}))).toBe('leased');
    const { side } = await startConfidential();
    const { requester } = side;
    const { signed } = await side.sealJob([]);
    const { confidential: _, ...plainTerms } = termsOf(signed.value);
    const asked = await requester.requestOffer({ subject: await subjectOf(signed), terms: plainTerms });
    if (asked.kind !== 'offer') throw new TypeError();
    const offer = await openSigned(OFFER, asked.offer);
    const leases = await requester.signLeases([signed], offer);
    const answers = requester.lease({ jobs: [signed], offer, leases });
    await answers.done;
    expect(answers.responses).toMatchObject([{ refusal: { code: 'LEASE_MISMATCH', detail: rule } }]);
    const plain = await requester.signJobs(requester.describeJob());
    const [job] = plain;
    if (job === undefined) throw new TypeError();
    const terms = { ...termsOf(job.value), confidential: SIMULATED_ONLY };
    const other = await requester.requestOffer({ subject: job.id, terms });
    if (other.kind !== 'offer') throw new TypeError();
    const otherOffer = await openSigned(OFFER, other.offer);
    const work = { jobs: plain, offer: otherOffer, leases: await requester.signLeases(plain, otherOffer) };
    const refused = requester.lease(work);
    await refused.done;
    expect(refused.responses).toMatchObject([{ refusal: { code: 'LEASE_MISMATCH', detail: rule } }]);
  });

  it('is refused where its state would be kept', async () => {
    const checkpoints = { schedule: { kind: 'steps' as const, every: 1 }, holder: null, sealed: false };
    expect(await refusalOf(async () => ({ checkpoints }))).toContain('neither one of a batch nor kept in checkpoints');
  });

  it('is refused where not each input is committed to', async () => {
    const change = async (side: ConfidentialRequester) => ({ confidential: { policy: side.policy, commitments: [] } });
    expect(await refusalOf(change)).toBe('the commitments of the job are not one for each of its inputs');
  });

  it('is refused in a batch', async () => {
    const { side } = await startConfidential();
    const { requester } = side;
    const confidential = { policy: new TestTee().policy, commitments: [] };
    const jobs = await requester.signJobs(
      requester.describeJob({ confidential }),
      requester.describeJob({ confidential }),
    );
    const work = await requester.prepare(jobs);
    const answers = requester.lease(work);
    await answers.done;
    expect(answers.responses).toMatchObject([
      { refusal: { detail: 'a confidential job is neither one of a batch nor kept in checkpoints' } },
    ]);
  });
});
