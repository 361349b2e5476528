/** Against Intel's TcbLevelCheck.cpp, TdxModuleCheck.cpp and TDRelaunchCheck.cpp, case by case. */
import { describe, expect, it } from 'vitest';
import { type QeIdentity, qeIdentitySchema } from '../../../../src/tee/dcap/collateral/qe-identity.ts';
import { tcbInfoSchema } from '../../../../src/tee/dcap/collateral/tcb-info.ts';
import { parseQuote } from '../../../../src/tee/dcap/quote/quote.ts';
import type { TdReport } from '../../../../src/tee/dcap/quote/td-report.ts';
import { evaluateTcb } from '../../../../src/tee/dcap/tcb/evaluate-tcb.ts';
import {
  convergeStatus,
  LEVEL_STATUSES,
  TCB_STATUSES,
  type TcbStatus,
} from '../../../../src/tee/dcap/tcb/tcb-status.ts';
import { readIntelEvidence } from '../../../support/intel-vectors.ts';

const { quote: bytes, collateral } = readIntelEvidence('tdx/tdx-v4-phala');
const bundle = JSON.parse(new TextDecoder().decode(collateral ?? undefined)) as Record<string, string>;
const quote = parseQuote(bytes);
const tcbInfo = tcbInfoSchema.parse(JSON.parse(bundle['tcb_info'] ?? ''));
const qeIdentity = qeIdentitySchema.parse(JSON.parse(bundle['qe_identity'] ?? ''));
if (tcbInfo.id !== 'TDX' || quote.body.kind !== 'tdx') throw new TypeError('it is of TDX');
const [firstLevel] = tcbInfo.tcbLevels;
const body: TdReport = quote.body;

const svnHex = (numbers: readonly number[]): string => Buffer.from(numbers).toString('hex').padEnd(32, '0');

interface Level {
  readonly status: TcbStatus;
  readonly sgx?: readonly number[];
  readonly pce?: number;
  readonly tdx?: readonly number[];
  readonly advisories?: readonly string[];
}

const pad = (numbers: readonly number[] = []): number[] =>
  Array.from({ length: 16 }, (_, index) => numbers[index] ?? 0);

function buildLevels(levels: readonly Level[]) {
  return levels.map(({ status, sgx, pce = 0, tdx, advisories = [] }) => {
    const tcb = { sgxtcbcomponents: pad(sgx), pcesvn: pce, tdxtcbcomponents: pad(tdx) };
    if (status === 'NotSupported' || status.startsWith('TDRelaunch')) throw new TypeError('no level says so');
    return { tcb, tcbDate: 0, tcbStatus: status as (typeof LEVEL_STATUSES)[number], advisoryIDs: [...advisories] };
  });
}

type IsvLevels = readonly (readonly [number, (typeof LEVEL_STATUSES)[number], string?])[];

const buildIsv = (levels: IsvLevels) =>
  levels.map(([isvsvn, tcbStatus, advisory]) => ({
    tcb: { isvsvn },
    tcbDate: 0,
    tcbStatus,
    advisoryIDs: advisory === undefined ? [] : [advisory],
  }));

interface Situation {
  readonly levels: readonly Level[];
  readonly svn: readonly number[];
  /** TEE_TCB_SVN_2 of a TD report 1.5. */
  readonly now?: readonly number[];
  readonly modules?: Readonly<Record<string, IsvLevels>>;
  readonly qe?: IsvLevels;
  readonly platform?: { readonly components: readonly number[]; readonly pceSvn: number };
}

function evaluate({ levels, svn, now, modules = {}, qe = [[0, 'UpToDate']], platform }: Situation) {
  const identities = Object.entries(modules).map(([id, of]) => ({
    id,
    mrsigner: '',
    attributes: '',
    attributesMask: '',
    tcbLevels: buildIsv(of),
  }));
  const report = { ...body, teeTcbSvn: svnHex(svn), teeTcbSvn2: now === undefined ? null : svnHex(now) };
  const identity: QeIdentity = { ...qeIdentity, tcbLevels: buildIsv(qe) };
  return evaluateTcb({
    quote: { ...quote, body: report },
    platform: { fmspc: '', pceId: '', components: pad([9, 9, 9]), pceSvn: 9, ...platform },
    tcbInfo: {
      ...(tcbInfo as Extract<typeof tcbInfo, { id: 'TDX' }>),
      tdxModuleIdentities: identities,
      tcbLevels: buildLevels(levels),
    },
    qeIdentity: identity,
  });
}

describe('the level of a platform', () => {
  const levels: readonly Level[] = [
    { status: 'UpToDate', sgx: [5, 5], pce: 7, tdx: [3, 0, 4] },
    { status: 'OutOfDate', sgx: [4, 4], pce: 6, tdx: [2, 0, 3], advisories: ['INTEL-SA-1'] },
    { status: 'Revoked', tdx: [0, 0, 0] },
  ];
  const platform = { components: pad([5, 5]), pceSvn: 7 };

  it('is the first of which every component and PCESVN are reached', () => {
    expect(evaluate({ levels, svn: [3, 0, 4], platform })).toMatchObject({ status: 'UpToDate', advisoryIds: [] });
    expect(evaluate({ levels, svn: [3, 0, 4], platform: { components: pad([5, 4]), pceSvn: 7 } }).status).toBe(
      'OutOfDate',
    );
    expect(evaluate({ levels, svn: [3, 0, 4], platform: { ...platform, pceSvn: 6 } })).toMatchObject({
      status: 'OutOfDate',
      advisoryIds: ['INTEL-SA-1'],
    });
    expect(evaluate({ levels, svn: [9, 0, 3], platform }).status).toBe('OutOfDate');
    expect(evaluate({ levels, svn: [2, 0, 4], platform }).status).toBe('OutOfDate');
    expect(evaluate({ levels, svn: [1, 0, 9], platform }).status).toBe('Revoked');
  });

  it('is not supported below all levels', () => {
    const [first] = levels;
    if (first === undefined) throw new TypeError('there is one');
    expect(evaluate({ levels: [first], svn: [2, 0, 4], platform })).toMatchObject({
      status: 'NotSupported',
      platformStatus: 'NotSupported',
      levelDateMs: null,
    });
    expect(evaluate({ levels: [first], svn: [3, 0, 4], platform: { ...platform, pceSvn: 6 } }).status).toBe(
      'NotSupported',
    );
  });

  it('leaves the first two components of a module 1.5 to its identity', () => {
    const modules = {
      TDX_01: [
        [4, 'UpToDate'],
        [2, 'OutOfDate', 'INTEL-SA-2'],
        [1, 'Revoked'],
      ] as IsvLevels,
    };
    expect(evaluate({ levels, svn: [4, 1, 4], platform, modules })).toMatchObject({
      status: 'UpToDate',
      moduleStatus: 'UpToDate',
    });
    expect(evaluate({ levels, svn: [2, 1, 4], platform, modules })).toMatchObject({
      status: 'OutOfDate',
      moduleStatus: 'OutOfDate',
      advisoryIds: ['INTEL-SA-2'],
    });
    expect(evaluate({ levels, svn: [1, 1, 4], platform, modules }).status).toBe('Revoked');
    expect(evaluate({ levels, svn: [0, 1, 4], platform, modules }).status).toBe('NotSupported');
    expect(evaluate({ levels, svn: [9, 3, 4], platform, modules }).status).toBe('NotSupported');
  });

  it('is read from the real TCB info', () => {
    expect(firstLevel?.tcb.pcesvn).toBe(11);
    const platformOf = { fmspc: '', pceId: '', components: pad([255, 255, 255, 255, 255, 255, 255, 255]), pceSvn: 11 };
    expect(evaluateTcb({ quote, platform: platformOf, tcbInfo, qeIdentity }).status).toBe('UpToDate');
  });
});

describe('the status of the whole', () => {
  const one = (status: TcbStatus): readonly Level[] => [{ status }];

  it('takes the quoting enclave into account', () => {
    const qe: IsvLevels = [
      [100, 'UpToDate'],
      [0, 'OutOfDate', 'INTEL-SA-3'],
    ];
    expect(evaluate({ levels: one('UpToDate'), svn: [0], qe })).toMatchObject({
      status: 'OutOfDate',
      qeStatus: 'OutOfDate',
      advisoryIds: ['INTEL-SA-3'],
    });
    expect(evaluate({ levels: one('ConfigurationNeeded'), svn: [0], qe }).status).toBe('OutOfDateConfigurationNeeded');
    expect(evaluate({ levels: one('UpToDate'), svn: [0], qe: [[0, 'Revoked']] }).status).toBe('Revoked');
    expect(evaluate({ levels: one('UpToDate'), svn: [0], qe: [[100, 'UpToDate']] }).status).toBe('NotSupported');
  });

  it.each([
    ['UpToDate', 'OutOfDate'],
    ['SWHardeningNeeded', 'OutOfDate'],
    ['ConfigurationNeeded', 'OutOfDateConfigurationNeeded'],
    ['ConfigurationAndSWHardeningNeeded', 'OutOfDateConfigurationNeeded'],
    ['OutOfDate', 'OutOfDate'],
    ['OutOfDateConfigurationNeeded', 'OutOfDateConfigurationNeeded'],
    ['Revoked', 'Revoked'],
    ['NotSupported', 'NotSupported'],
  ] as const)('of %s and a part that is out of date is %s', (platform, whole) => {
    expect(convergeStatus(platform, 'OutOfDate')).toBe(whole);
  });

  it('is that of the platform with a part up to date, and never better than a part', () => {
    for (const status of TCB_STATUSES) {
      expect(convergeStatus(status, 'UpToDate')).toBe(status);
      expect(convergeStatus(status, 'Revoked')).toBe('Revoked');
      expect(convergeStatus('UpToDate', status) === 'UpToDate').toBe(status === 'UpToDate');
    }
  });
});

describe('the advice to launch the TD again', () => {
  const levels: readonly Level[] = [{ status: 'UpToDate', tdx: [5, 0, 4] }];
  const modules = {
    TDX_01: [
      [4, 'UpToDate'],
      [2, 'OutOfDate'],
    ] as IsvLevels,
  };
  const launched = { levels, modules, svn: [2, 1, 4] };

  it('is given if only the module at launch was out of date', () => {
    expect(evaluate({ ...launched, now: [4, 1, 4] }).status).toBe('TDRelaunchAdvised');
    expect(evaluate({ ...launched, now: [5, 0, 4] }).status).toBe('TDRelaunchAdvised');
    const configuration: readonly Level[] = [{ status: 'ConfigurationNeeded', tdx: [5, 0, 4] }];
    expect(evaluate({ ...launched, levels: configuration, now: [4, 1, 4] }).status).toBe(
      'TDRelaunchAdvisedConfigurationNeeded',
    );
  });

  it('is not given otherwise', () => {
    expect(evaluate(launched).status).toBe('OutOfDate');
    expect(evaluate({ ...launched, now: [3, 1, 4] }).status).toBe('OutOfDate');
    expect(evaluate({ ...launched, now: [4, 1, 3] }).status).toBe('OutOfDate');
    expect(evaluate({ ...launched, now: [4, 0, 4] }).status).toBe('OutOfDate');
    expect(evaluate({ ...launched, now: [4, 2, 4] }).status).toBe('NotSupported');
    expect(evaluate({ ...launched, now: [4, 1, 4], qe: [[0, 'OutOfDate']] }).status).toBe('OutOfDate');
    const old: readonly Level[] = [{ status: 'OutOfDate', tdx: [5, 0, 4] }];
    expect(evaluate({ ...launched, levels: old, now: [4, 1, 4] }).status).toBe('OutOfDate');
  });
});
