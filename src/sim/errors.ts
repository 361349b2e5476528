import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type SimulationErrorInfo =
  | { readonly code: 'SIM_UNKNOWN_SCENARIO'; readonly name: string; readonly known: readonly string[] }
  | { readonly code: 'SIM_BAD_OPTION'; readonly option: string; readonly value: string; readonly expected: string }
  | { readonly code: 'SIM_NO_GRAPH'; readonly vertices: number; readonly degree: number }
  | { readonly code: 'SIM_STUCK'; readonly atMs: number };

const SIMULATION_ERRORS: ErrorTable<SimulationErrorInfo> = {
  SIM_UNKNOWN_SCENARIO: {
    retryable: false,
    message: (info) => `there is no scenario ${info.name}`,
    hint: (info) => `Name one of ${info.known.join(', ')}, or none for all.`,
  },
  SIM_BAD_OPTION: {
    retryable: false,
    message: (info) => `${info.option} ${info.value}: expected ${info.expected}`,
    hint: () => 'See npm run sim -- --help.',
  },
  SIM_NO_GRAPH: {
    retryable: false,
    message: (info) => `no regular graph of degree ${info.degree} was found on ${info.vertices} vertices`,
    hint: () => 'The degree has to be below the number of vertices, and their product even.',
  },
  SIM_STUCK: {
    retryable: false,
    message: (info) => `virtual time stands still at ${info.atMs}: an event sets itself anew without delay`,
    hint: () => 'Look for a timer of 0 ms that is set again whenever it fires.',
  },
};

export class SimulationError extends DaemonError<SimulationErrorInfo> {
  constructor(info: SimulationErrorInfo, options?: ErrorOptions) {
    super(SIMULATION_ERRORS, info, options);
  }
}
