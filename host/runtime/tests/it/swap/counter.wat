;; A plugin of the world `game-single` that counts, and keeps its count when its code is replaced. What stands in `{{..}}` a test fills in.
;;
;; Routes: 1 counts and replies with the count (u64) and the number of the version (u32), both little endian; 2 traps; 3 never returns;
;; 4 the error `no`; others as 1.
(component
  (import "duet:plugin/sessions@0.1.0" (instance $sessions (export "count" (func (param "what" u32) (result u64)))))
  (core func $count (canon lower (func $sessions "count")))

  (core module $Main
    (import "host" "count" (func $ask-host (param i32) (result i64)))
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 65536))
    (global $count (mut i64) (i64.const 0))
    (data (i32.const 256) "no")
    (data (i32.const 1024) "{{MANIFEST}}")

    ;; All of it is free again with the next answer.
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $place i32)
      (local.set $place (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $place) (local.get $size)))
      (local.get $place))

    (func $answer (param $error i32) (param $place i32) (param $bytes i32) (result i32)
      (i32.store (i32.const 16) (local.get $error))
      (i32.store (i32.const 20) (local.get $place))
      (i32.store (i32.const 24) (local.get $bytes))
      (global.set $next (i32.const 65536))
      (i32.const 16))
    (func $no (result i32) (call $answer (i32.const 1) (i32.const 256) (i32.const 2)))
    (func $ok (result i32) (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))
    (func $ask (drop (call $ask-host (i32.const 0))))
    (func $forever (result i32) (loop $turn (br $turn)) unreachable)
    (func $spin (param $turns i32)
      (loop $turn (br_if $turn (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
    (func $leak (param $pages i32)
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable)))

    (func (export "describe") (result i32)
      (i32.store (i32.const 16) (i32.const 1024))
      (i32.store (i32.const 20) (i32.const {{MANIFEST_BYTES}}))
      (i32.const 16))
    (func (export "start") (result i32) {{START}} (call $ok))
    (func (export "stop") {{STOP}})

    (func (export "handle") (param $conn i64) (param $uid i64) (param $route i32) (param $seq i32) (param $place i32) (param $bytes i32)
      (result i32)
      (if (i32.eq (local.get $route) (i32.const 2)) (then unreachable))
      (if (i32.eq (local.get $route) (i32.const 3)) (then (return (call $forever))))
      (if (i32.eq (local.get $route) (i32.const 4)) (then (return (call $no))))
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      {{HANDLE}}
      (i64.store (i32.const 32) (global.get $count))
      (i32.store (i32.const 40) (i32.const {{NUMBER}}))
      (call $answer (i32.const 0) (i32.const 32) (i32.const 12)))

    (func (export "save") (param $piece i32) (result i32)
      {{SAVE}}
      (if (local.get $piece) (then (return (call $ok))))
      (i64.store (i32.const 32) (global.get $count))
      (call $answer (i32.const 0) (i32.const 32) (i32.const 8)))
    (func (export "restore") (param $schema i32) (param $piece i32) (param $place i32) (param $bytes i32) (result i32)
      {{RESTORE}}
      (if (local.get $bytes) (then (global.set $count (i64.load (local.get $place)))))
      (call $ok)))
  (core instance $main (instantiate $Main (with "host" (instance (export "count" (func $count))))))

  (func $describe (result string) (canon lift (core func $main "describe") (memory (core memory $main "memory"))))
  (func $start (result (result (error string))) (canon lift (core func $main "start") (memory (core memory $main "memory"))))
  (func $stop (canon lift (core func $main "stop")))
  (instance $lifecycle (export "describe" (func $describe)) (export "start" (func $start)) (export "stop" (func $stop)))
  (export "duet:plugin/lifecycle@0.1.0" (instance $lifecycle))

  (func $handle (param "conn" u64) (param "uid" s64) (param "route" s32) (param "seq" s32) (param "body" (list u8))
    (result (result (list u8) (error string)))
    (canon lift (core func $main "handle") (memory (core memory $main "memory")) (realloc (core func $main "realloc"))))
  (instance $handler (export "handle" (func $handle)))
  (export "duet:plugin/handler@0.1.0" (instance $handler))

  (func $save (param "piece" u32) (result (result (list u8) (error string)))
    (canon lift (core func $main "save") (memory (core memory $main "memory"))))
  (func $restore (param "schema" u32) (param "piece" u32) (param "bytes" (list u8)) (result (result (error string)))
    (canon lift (core func $main "restore") (memory (core memory $main "memory")) (realloc (core func $main "realloc"))))
  (instance $state (export "save" (func $save)) (export "restore" (func $restore)))
  {{EXPORT_STATE}})
