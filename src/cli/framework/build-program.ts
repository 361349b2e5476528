import { Command as Commander, Option } from 'commander';
import { GROUP_SUMMARIES } from '../commands.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import type { Command, CommandArgument } from '../interface.ts';
import { describeOptions, type OptionSpec } from './option-specs.ts';

/** A command as the table names it; its module is loaded only when it is called for. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** What the group does when no verb is given. */
  readonly isDefault?: true;
  load(): Promise<Command>;
}

export interface ProgramModules {
  readonly commands: readonly CommandEntry[];
  writeOut(text: string): void;
  run(command: Command, given: GivenInput): Promise<ExitCode>;
}

export interface GivenInput {
  readonly arguments: readonly string[];
  /** Text as typed, by the keys of the command's options. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly specs: readonly OptionSpec[];
  readonly global: GlobalOptions;
}

export interface GlobalOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly home?: string;
  readonly socket?: string;
}

export interface BuiltProgram {
  parse(argv: readonly string[]): Promise<ExitCode>;
}

/** The command tree. Groups and summaries come from the table; a command's options are added when it is chosen. */
export function buildProgram(modules: ProgramModules, options: { readonly version: string }): BuiltProgram {
  const program = createRoot(modules, options.version);
  const groups = new Map<string, Commander>();
  const entries = new Map<Commander, CommandEntry>();
  let exitCode: ExitCode = EXIT_CODES.ok;
  const fill = async (leaf: Commander): Promise<void> => {
    const entry = entries.get(leaf);
    if (entry === undefined) return;
    const command = await entry.load();
    fillLeaf(leaf, command, async (given) => {
      exitCode = await modules.run(command, { ...given, global: program.opts() });
    });
  };
  for (const entry of modules.commands) {
    const [first = '', second] = entry.name.split(' ');
    const parent = second === undefined ? program : (groups.get(first) ?? createGroup(program, first));
    if (second !== undefined) groups.set(first, parent);
    const leaf = parent.command(second ?? first, { isDefault: entry.isDefault === true });
    entries.set(leaf.summary(entry.summary).description(entry.summary), entry);
  }
  for (const parent of [program, ...groups.values()]) parent.hook('preSubcommand', (_, leaf) => fill(leaf));
  return {
    parse: async (argv) => {
      await program.parseAsync([...rewriteHelp(argv, modules.commands)], { from: 'user' });
      return exitCode;
    },
  };
}

function createRoot(modules: ProgramModules, version: string): Commander {
  return new Commander('fogproof')
    .description('Peer-to-peer node for verifiable compute.')
    .version(version, '-V, --version', 'print the version')
    .option('--json', 'print JSON: one document, or one a line for streams')
    .option('-q, --quiet', 'print results only, no notes or progress')
    .option('--home <dir>', 'data folder (env FOGPROOF_HOME)')
    .option('--socket <path>', 'control socket of the daemon (env FOGPROOF_SOCKET)')
    .helpCommand(false)
    .helpOption('-h, --help', 'print help')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeOut: (text) => modules.writeOut(text), writeErr: () => {}, outputError: () => {} })
    .addHelpText('after', '\nRun `fogproof help COMMAND` for more, `fogproof help exit-codes` for exit codes.');
}

function createGroup(program: Commander, name: string): Commander {
  return program
    .command(name)
    .description(GROUP_SUMMARIES[name] ?? '')
    .helpCommand(false);
}

/** `help job submit` is `job submit --help`; `help exit-codes` is a command. */
function rewriteHelp(argv: readonly string[], commands: readonly CommandEntry[]): readonly string[] {
  const [first, ...rest] = argv;
  if (first !== 'help' || commands.some(({ name }) => name === argv.slice(0, 2).join(' '))) return argv;
  return [...rest, '--help'];
}

type LeafInput = Omit<GivenInput, 'global'>;

function fillLeaf(leaf: Commander, command: Command, run: (given: LeafInput) => Promise<void>): void {
  const specs = describeOptions(command.options);
  if (command.details !== undefined) leaf.description(`${command.summary}\n\n${command.details}`);
  for (const argument of command.arguments) leaf.argument(renderArgument(argument), argument.description);
  for (const spec of specs) leaf.addOption(createOption(spec));
  leaf.addHelpText('after', () => renderExamples(command));
  leaf.action(async () => {
    await run({ arguments: leaf.args, options: leaf.opts(), specs });
  });
}

export function renderArgument({ name, isRequired, isVariadic }: CommandArgument): string {
  const inner = isVariadic === true ? `${name}...` : name;
  return isRequired ? `<${inner}>` : `[${inner}]`;
}

export function renderFlags({ short, flag, kind, placeholder }: OptionSpec): string {
  const value = kind === 'value' || kind === 'list' ? ` <${placeholder}>` : '';
  return `${short === undefined ? '' : `-${short}, `}${flag}${value}`;
}

function createOption(spec: OptionSpec): Option {
  const { kind, choices, environment, defaultText, isRequired, description } = spec;
  const notes = [
    ...(kind === 'list' ? ['may be repeated'] : []),
    ...(defaultText === undefined ? [] : [`default: ${defaultText}`]),
    ...(isRequired ? ['required'] : []),
  ];
  const text = notes.length === 0 ? description : `${description} (${notes.join('; ')})`;
  const option = new CommandOption(spec, text);
  // `--no-backup` of a key `noBackup` is a switch of its own, where Commander takes it for the opposite of `--backup`.
  if (spec.kind === 'switch') option.negate = false;
  if (choices !== undefined) option.choices(choices);
  if (environment !== undefined) option.env(environment);
  if (isRequired) option.makeOptionMandatory();
  if (kind === 'list') option.argParser((value: string, list: string[] | undefined) => [...(list ?? []), value]);
  return option;
}

/**
 * Commander reads the key and the sense of an option from its flag; ours come from the schema, where a key may be
 * `noBackup` beside `backup`.
 */
class CommandOption extends Option {
  readonly #key: string;

  constructor(spec: OptionSpec, description: string) {
    super(renderFlags(spec), description);
    this.#key = spec.key;
    this.negate = spec.kind === 'switch-off';
  }

  override attributeName(): string {
    return this.#key;
  }
}

function renderExamples({ examples }: Command): string {
  if (examples.length === 0) return '';
  return ['', 'Examples:', ...examples.flatMap(({ line, does }) => [`  ${line}`, `      ${does}`])].join('\n');
}
