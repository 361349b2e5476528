(module
  (memory (export "memory") 1)
  (global $steps (mut i32) (i32.const 0))
  (func (export "fogproof_init") (result i32)
    (i32.const 0))
  (func (export "fogproof_step") (result i32)
    (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
    (i32.store (i32.const 256) (global.get $steps))
    (i32.eq (global.get $steps) (i32.const 3))))
