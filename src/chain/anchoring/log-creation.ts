import { identifyCluster } from '../../domain/chain.ts';
import { createDeadline } from '../../lib/abort.ts';
import { SIGNATURE_FEE_LAMPORTS } from '../constants.ts';
import { ChainError } from '../errors.ts';
import { LOG_BYTES } from '../generated/proof-anchor.ts';
import type { CallOptions, ChainReader, TransactionSender } from '../interface.ts';
import { type AnchorLog, createLog, type LogState } from './anchor-log.ts';
import { CREATE_LOG_COMPUTE_UNITS, READ_TIMEOUT_MS } from './constants.ts';
import { AnchoringError } from './errors.ts';
import { ProblemError } from './problem.ts';
import { findProgramFault } from './program-account.ts';
import { explainRefusal } from './refusal.ts';
import { isLanded, type TransactionWatch } from './transaction-watch.ts';

export interface LogCreationModules {
  readonly reader: ChainReader;
  readonly sender: TransactionSender;
  readonly watch: TransactionWatch;
  readonly log: AnchorLog;
}

/** Makes the log of this wallet where there is none. The program takes an address once: there are never two. */
export class LogCreation {
  readonly #modules: LogCreationModules;

  constructor(modules: LogCreationModules) {
    this.#modules = modules;
  }

  /** @throws ChainError, AnchoringError, ProblemError for what keeps it from being made */
  async create({ signal }: CallOptions): Promise<LogState> {
    const { sender, watch, log } = this.#modules;
    await this.#assertProgram(signal);
    const key = await this.#chooseKey();
    const { program, owner } = log.place;
    await sender.submit(
      {
        key,
        purpose: 'make the log of this wallet',
        instructions: [createLog(program, owner)],
        computeUnitLimit: CREATE_LOG_COMPUTE_UNITS,
      },
      { signal },
    );
    const transaction = await watch.wait(key, { signal, until: 'confirmed' });
    const minSlot = isLanded(transaction) && transaction.slot !== null ? { minSlot: transaction.slot } : {};
    const made = await log.read({ signal, commitment: 'confirmed', ...minSlot });
    if (made !== undefined) return made;
    if (transaction.problem?.code === 'CHAIN_INSUFFICIENT_FUNDS') throw await this.#describeFunds(signal);
    const problem = explainRefusal(transaction, program);
    if (problem !== null) throw new ProblemError(problem);
    const { failure } = transaction;
    // Closed again, or taken back by a fork: once this is settled, the next attempt has another key.
    if (isLanded(transaction)) await watch.wait(key, { signal, until: 'finalized' });
    const reason = failure?.detail ?? 'the log was made and is gone again';
    throw new AnchoringError({ code: 'ANCHORING_TRANSACTION_FAILED', key, reason });
  }

  /** A log that was closed is made again under a new key; one that could not be made, under its own. */
  async #chooseKey(): Promise<string> {
    const { sender } = this.#modules;
    for (let number = 0; ; number++) {
      const key = `anchor-log/${number}`;
      const known = await sender.get(key);
      if (known?.state === 'refused' || known?.state === 'failed') await sender.forget(key);
      if (known?.state !== 'finalized') return key;
    }
  }

  /** The whole sum until the first root is there: the fee of this transaction alone would lead to the next refusal. */
  async #describeFunds(parent: AbortSignal): Promise<ChainError> {
    const { reader, log } = this.#modules;
    using deadline = createDeadline(READ_TIMEOUT_MS, parent);
    const { signal } = deadline;
    const { owner: address } = log.place;
    const has = await reader.balance(address, { signal, commitment: 'confirmed' });
    const rent = await reader.rentExemption(LOG_BYTES, { signal });
    const remainder = await reader.rentExemption(0, { signal });
    const fees = 2n * SIGNATURE_FEE_LAMPORTS;
    return new ChainError({
      code: 'CHAIN_INSUFFICIENT_FUNDS',
      address,
      has: String(has),
      needs: String(rent + remainder + fees),
      parts: `${rent} of rent for its log, given back when that is closed, ${fees} of fees for making it and for the first anchor (more where priority costs), and ${remainder} that stay in the wallet, the least that the chain keeps an account for`,
      isLocal: identifyCluster(reader.status().expectedGenesis).name === null,
    });
  }

  async #assertProgram(signal: AbortSignal): Promise<void> {
    using deadline = createDeadline(READ_TIMEOUT_MS, signal);
    const { program } = this.#modules.log.place;
    const account = await this.#modules.reader.account(program, { signal: deadline.signal, commitment: 'confirmed' });
    const reason = findProgramFault(account);
    if (reason !== undefined) throw new AnchoringError({ code: 'ANCHORING_NO_PROGRAM', program, reason });
  }
}
