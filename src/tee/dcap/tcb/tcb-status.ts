/** In the order of Intel's PCS documentation, and what its verification library adds to it. */
export const TCB_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  /** The machine is up to date, the TD was launched before it was. */
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
  'Revoked',
  /** No level of Intel's list is at or below the platform's. */
  'NotSupported',
] as const;

export type TcbStatus = (typeof TCB_STATUSES)[number];

/** What a level in a signed document may say. */
export const LEVEL_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const satisfies readonly TcbStatus[];

/** What a policy may accept. */
export const ACCEPTABLE_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const satisfies readonly TcbStatus[];

export function needsConfiguration(status: TcbStatus): boolean {
  return (
    status === 'ConfigurationNeeded' ||
    status === 'ConfigurationAndSWHardeningNeeded' ||
    status === 'OutOfDateConfigurationNeeded' ||
    status === 'TDRelaunchAdvisedConfigurationNeeded'
  );
}

/**
 * The platform's status together with that of a part (TDX module or quoting enclave): the worse of both.
 * Intel's convergeTcbStatusWithTdxModuleStatus and convergeTcbStatusWithQeTcbStatus; whatever a part has that is neither
 * up to date nor worse counts as out of date, as there.
 */
export function convergeStatus(platform: TcbStatus, part: TcbStatus): TcbStatus {
  if (part === 'Revoked' || platform === 'Revoked') return 'Revoked';
  if (part === 'NotSupported' || platform === 'NotSupported') return 'NotSupported';
  if (part === 'UpToDate') return platform;
  return needsConfiguration(platform) ? 'OutOfDateConfigurationNeeded' : 'OutOfDate';
}
