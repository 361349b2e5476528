// An ordinary program: files, maps, floats, time, arguments, exit code. It knows nothing of where it runs.
package main

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"sort"
	"time"
)

func main() {
	fmt.Println("hello", os.Args[1:], os.Getenv("GREETING"), time.Now().UTC().Year())
	data, err := os.ReadFile("/data/in.txt")
	fmt.Fprintln(os.Stderr, "read", len(data), err)
	counts := map[string]int{}
	total := 0.0
	for i := 0; i < 20000; i++ {
		counts[fmt.Sprint("k", i%17)] += i
		total += math.Sqrt(float64(i)) * math.Sin(float64(i))
	}
	keys := []string{}
	for key := range counts {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	time.Sleep(10 * time.Millisecond)
	if err := os.MkdirAll("/output/deep", 0o755); err != nil {
		panic(err)
	}
	text := fmt.Sprintf("%x %v %v", sha256.Sum256(data), keys, total)
	if err := os.WriteFile("/output/deep/result.txt", []byte(text), 0o644); err != nil {
		panic(err)
	}
	_, err = os.ReadFile("/etc/passwd")
	fmt.Println("passwd:", err)
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		os.Exit(3)
	}
}
