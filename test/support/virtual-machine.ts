import { Keypair, PublicKey, Transaction, TransactionInstruction } from '@solana/web3.js';
import { FailedTransactionMetadata, LiteSvm } from 'litesvm/dist/internal.js';

export interface ProgramRun {
  /** Undefined if it succeeded, else what the virtual machine says of it. */
  readonly failure: string | undefined;
  readonly logs: readonly string[];
  readonly returnData: Uint8Array;
  readonly computeUnits: number;
}

/** Loads a program into the real virtual machine; throws if its loader refuses it. */
export function loadProgram(image: Uint8Array): (data: Uint8Array) => ProgramRun {
  const vm = new LiteSvm();
  const payer = Keypair.generate();
  const program = Keypair.generate().publicKey;
  vm.airdrop(payer.publicKey.toBytes(), 1_000_000_000n);
  vm.setTransactionHistory(0n);
  vm.addProgram(program.toBytes(), image);
  return (data) => {
    const transaction = new Transaction({ feePayer: payer.publicKey });
    transaction.recentBlockhash = vm.latestBlockhash();
    transaction.add(
      new TransactionInstruction({ programId: new PublicKey(program), keys: [], data: Buffer.from(data) }),
    );
    transaction.sign(payer);
    const result = vm.sendLegacyTransaction(transaction.serialize());
    const isFailed = result instanceof FailedTransactionMetadata;
    const meta = isFailed ? result.meta() : result;
    return {
      failure: isFailed ? result.toString() : undefined,
      logs: meta.logs(),
      returnData: Uint8Array.from(meta.returnData().data()),
      computeUnits: Number(meta.computeUnitsConsumed()),
    };
  };
}
