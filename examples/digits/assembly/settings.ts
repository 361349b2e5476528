/** `name = value` a line; `#` opens a comment. Names that are absent keep these values. */
export class Settings {
  rounds: i32 = 48;
  hidden: i32 = 32;
  batch: i32 = 16;
  learningRate: f64 = 0.05;
  momentum: f64 = 0.9;
}

/** Null if a line is malformed, a name is unknown or a value is out of range. */
export function parseSettings(bytes: Uint8Array): Settings | null {
  const settings = new Settings();
  const lines = String.UTF8.decode(bytes.buffer).split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i].split("#")[0].trim();
    if (line.length == 0) continue;
    const parts = line.split("=");
    if (parts.length != 2) return null;
    const value = parseFloat(parts[1].trim());
    if (!isFinite(value) || value < 0.0) return null;
    const name = parts[0].trim();
    if (name == "rounds") settings.rounds = <i32>value;
    else if (name == "hidden") settings.hidden = <i32>value;
    else if (name == "batch") settings.batch = <i32>value;
    else if (name == "learning_rate") settings.learningRate = value;
    else if (name == "momentum") settings.momentum = value;
    else return null;
  }
  const isSane =
    settings.rounds >= 1 && settings.rounds <= 100000 && settings.hidden >= 1 && settings.hidden <= 4096 && settings.batch >= 1 && settings.momentum < 1.0;
  return isSane ? settings : null;
}
